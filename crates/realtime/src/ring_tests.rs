//! The ring against a plain list, and its bounds at their edges.

use super::*;
use proptest::prelude::*;

const SMALL: Bounds = Bounds {
    kept: 4,
    kept_bytes: 100,
    queued: 3,
    queued_bytes: 60,
};

fn tail(text: &str) -> Rc<Tail> {
    Rc::new(Tail {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        ephemeral: false,
        subject: None,
    })
}

fn typing() -> Rc<Tail> {
    Rc::new(Tail {
        bytes: Bytes::from_static(b"typing"),
        ephemeral: true,
        subject: None,
    })
}

fn waiting(ring: &Ring) -> Vec<u64> {
    ring.waiting().map(|(s, _)| s).collect()
}

#[test]
fn prelude_comes_first_and_cannot_be_resumed_into() {
    let mut ring = Ring::new(
        SMALL,
        vec![Bytes::from_static(b"ready"), Bytes::from_static(b"guild")],
    );
    assert_eq!(ring.push(tail("a")), Push::Done);
    assert_eq!(waiting(&ring), [1, 2, 3]);
    ring.mark_written();
    assert_eq!(ring.resume(1), Err(ResumeRefused::TooOld));
    ring.mark_written();
    assert_eq!(ring.resume(1), Err(ResumeRefused::TooOld));
    assert_eq!(ring.resume(2), Ok(()));
    assert_eq!(waiting(&ring), [3]);
    ring.mark_written();
    assert!(ring.is_idle());
    assert_eq!(ring.resume(3), Ok(()));
    assert_eq!(ring.resume(4), Err(ResumeRefused::NeverSent));
}

#[test]
fn queue_overflows_one_beyond_its_bounds() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..3 {
        assert_eq!(ring.push(tail("x")), Push::Done);
    }
    assert_eq!(ring.push(tail("x")), Push::Overflow);
    let mut ring = Ring::new(SMALL, Vec::new());
    assert_eq!(ring.push(tail(&"x".repeat(60))), Push::Done);
    assert_eq!(ring.push(tail("x")), Push::Overflow);
}

#[test]
fn overflowed_queue_is_still_resumable_whole() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..4 {
        ring.push(tail("x"));
    }
    ring.detach();
    assert_eq!(ring.resume(0), Ok(()));
    assert_eq!(waiting(&ring), [1, 2, 3, 4]);
}

#[test]
fn replay_does_not_count_against_the_queue_again() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..4 {
        ring.push(tail("x"));
    }
    ring.detach();
    ring.resume(0).unwrap();
    for _ in 0..3 {
        assert_eq!(ring.push(tail("y")), Push::Done);
    }
    assert_eq!(ring.push(tail("y")), Push::Overflow);
}

#[test]
fn typing_is_dropped_at_half_and_never_kept() {
    let mut ring = Ring::new(SMALL, Vec::new());
    ring.push(typing());
    assert_eq!(waiting(&ring), [1]);
    ring.push(tail("a"));
    ring.push(typing());
    assert_eq!(waiting(&ring), [1, 2]);
    ring.mark_written();
    ring.mark_written();
    assert_eq!(ring.resume(0), Ok(()));
    assert_eq!(waiting(&ring), [2]);
}

#[test]
fn written_slots_are_kept_up_to_the_bound() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..5 {
        ring.push(tail("x"));
        ring.mark_written();
    }
    assert_eq!(ring.resume(0), Err(ResumeRefused::TooOld));
    assert_eq!(ring.resume(1), Ok(()));
    assert_eq!(waiting(&ring), [2, 3, 4, 5]);
    ring.acknowledge(3);
    assert_eq!(
        waiting(&ring),
        [2, 3, 4, 5],
        "what waits is not acknowledged away"
    );
}

#[test]
fn acknowledged_slots_are_gone() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..3 {
        ring.push(tail("x"));
        ring.mark_written();
    }
    ring.acknowledge(2);
    assert_eq!(ring.resume(1), Err(ResumeRefused::TooOld));
    assert_eq!(ring.resume(2), Ok(()));
    ring.mark_written();
    ring.acknowledge(99);
    assert_eq!(ring.next_s(), 4);
}

#[test]
fn detached_ring_drops_the_oldest() {
    let mut ring = Ring::new(SMALL, Vec::new());
    for _ in 0..8 {
        ring.push_detached(tail("x"));
    }
    assert_eq!(ring.resume(0), Err(ResumeRefused::TooOld));
    assert_eq!(ring.resume(1), Ok(()));
    assert_eq!(waiting(&ring).len(), 7);
    let mut ring = Ring::new(SMALL, Vec::new());
    ring.push_detached(tail(&"x".repeat(100)));
    ring.push_detached(tail(&"y".repeat(60)));
    assert_eq!(waiting(&ring), [1, 2]);
    ring.push_detached(tail("z"));
    assert_eq!(waiting(&ring), [2, 3]);
}

#[test]
fn spilled_ring_resumes_as_before() {
    let mut ring = Ring::new(SMALL, vec![Bytes::from_static(b"ready")]);
    assert!(ring.spill().is_none());
    ring.mark_written();
    for text in ["a", "b", "c"] {
        ring.push(tail(text));
    }
    ring.mark_written();
    ring.detach();
    let (base, slots) = ring.spill().unwrap();
    let slots = slots.map(|slot| slot.cloned()).collect();
    let mut copy = Ring::restored(SMALL, base, slots);
    assert_eq!(copy.resume(2), Ok(()));
    assert_eq!(waiting(&copy), [3, 4]);
    assert_eq!(copy.next_s(), ring.next_s());
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Type,
    Write,
    Ack(u8),
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Push),
        1 => Just(Step::Type),
        4 => Just(Step::Write),
        1 => any::<u8>().prop_map(Step::Ack),
        1 => Just(Step::Cut),
    ]
}

proptest! {
    /// Whatever happens, a client that resumes from what it received gets every kept event once and
    /// in order, or is told that it cannot.
    #[test]
    fn client_receives_everything_once(steps in prop::collection::vec(step(), 1..200)) {
        let mut ring = Ring::new(SMALL, vec![Bytes::from_static(b"ready")]);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut received: Vec<Vec<u8>> = Vec::new();
        let mut last = 0;
        for step in steps {
            match step {
                Step::Push(n) => {
                    let body = vec![b'a', n];
                    sent.push(body.clone());
                    let overflow = ring.push(Rc::new(Tail { bytes: body.into(), ephemeral: false, subject: None }));
                    if overflow == Push::Overflow {
                        ring.detach();
                        if ring.resume(last).is_err() { return Ok(()); }
                    }
                }
                Step::Type => { ring.push(typing()); }
                Step::Write => {
                    let next = ring.waiting().next().map(|(s, bytes)| (s, bytes.clone()));
                    if let Some((s, bytes)) = next {
                        prop_assert!(s > last, "numbers grow");
                        last = s;
                        if bytes.first() == Some(&b'a') { received.push(bytes.to_vec()); }
                        ring.mark_written();
                    }
                }
                Step::Ack(back) => ring.acknowledge(last.saturating_sub(u64::from(back))),
                Step::Cut => {
                    ring.detach();
                    if ring.resume(last).is_err() { return Ok(()); }
                }
            }
            prop_assert_eq!(ring.queued, ring.slots.range(ring.written..).filter(|s| s.is_some()).count());
            prop_assert!(ring.written <= SMALL.kept);
        }
        while !ring.is_idle() {
            let bytes = ring.waiting().next().map(|(_, bytes)| bytes.clone()).unwrap();
            if bytes.first() == Some(&b'a') { received.push(bytes.to_vec()); }
            ring.mark_written();
        }
        prop_assert_eq!(received, sent);
    }
}

const ROOMY: Bounds = Bounds {
    kept: 20,
    kept_bytes: 10_000,
    queued: 10,
    queued_bytes: 10_000,
};

fn state(of: i64, text: &'static str) -> Rc<Tail> {
    Rc::new(Tail {
        bytes: Bytes::from_static(text.as_bytes()),
        ephemeral: true,
        subject: Some(Subject::Presence(UserId::new(of), None)),
    })
}

fn texts(ring: &Ring) -> Vec<String> {
    let waiting = ring.waiting();
    waiting
        .map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap())
        .collect()
}

#[test]
fn at_sixty_percent_states_replace_each_other_or_come_later() {
    let mut ring = Ring::new(ROOMY, Vec::new());
    for _ in 0..3 {
        ring.push(tail("x"));
    }
    ring.push(state(1, "a1"));
    ring.push(state(1, "a2"));
    assert_eq!(
        texts(&ring),
        ["x", "x", "x", "a1", "a2"],
        "below it nothing is merged"
    );
    assert_eq!(ring.push(typing()), Push::Done);
    assert_eq!(ring.waiting().count(), 5, "typing is dropped at half");
    ring.push(state(2, "b1"));
    assert!(ring.is_crowded(), "six of ten");
    assert_eq!(ring.push(state(2, "b2")), Push::Done);
    assert_eq!(ring.push(state(3, "c1")), Push::Late);
    assert_eq!(texts(&ring), ["x", "x", "x", "a1", "a2", "b2"]);
    let receipt = |text: &'static str| {
        Rc::new(Tail {
            bytes: Bytes::from_static(text.as_bytes()),
            ephemeral: false,
            subject: Some(Subject::Receipt(ChannelId::new(1), UserId::new(1))),
        })
    };
    assert_eq!(
        ring.push(receipt("r1")),
        Push::Done,
        "receipts are not lost"
    );
    assert_eq!(ring.push(receipt("r2")), Push::Done);
    assert_eq!(texts(&ring), ["x", "x", "x", "a1", "a2", "b2", "r2"]);
}

#[test]
fn oldest_that_waits_may_be_half_out_and_is_not_replaced() {
    let mut ring = Ring::new(ROOMY, Vec::new());
    ring.push(state(1, "a1"));
    for _ in 0..5 {
        ring.push(tail("x"));
    }
    assert_eq!(ring.push(state(1, "a2")), Push::Late);
    assert_eq!(texts(&ring)[0], "a1");
}

#[test]
fn presence_uses_up_a_number_and_is_not_kept() {
    let mut ring = Ring::new(ROOMY, Vec::new());
    ring.push(tail("x"));
    ring.push(state(1, "a"));
    ring.push(tail("y"));
    (0..3).for_each(|_| ring.mark_written());
    ring.detach();
    assert_eq!(ring.resume(0), Ok(()));
    assert_eq!(waiting(&ring), [1, 3]);
}
