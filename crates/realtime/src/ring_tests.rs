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
    })
}

fn typing() -> Rc<Tail> {
    Rc::new(Tail {
        bytes: Bytes::from_static(b"typing"),
        ephemeral: true,
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
                    let overflow = ring.push(Rc::new(Tail { bytes: body.into(), ephemeral: false }));
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
