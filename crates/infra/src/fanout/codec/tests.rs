use kernel::{DeviceId, UserId};
use proptest::prelude::*;

use super::*;

fn id<K>() -> impl Strategy<Value = Id<K>> {
    any::<i64>().prop_map(Id::new)
}

fn body() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn dispatch() -> impl Strategy<Value = Dispatch> {
    let users = prop::collection::vec(id::<kernel::id::kind::User>(), 0..4);
    let optional = || prop::option::of(id::<kernel::id::kind::User>());
    let head = (
        ".{0,40}",
        prop::option::of(any::<u8>()),
        any::<u64>().prop_map(Chat::from_bits),
        optional(),
        optional(),
    );
    (head, users, body(), prop::option::of(body())).prop_map(
        |((name, intent, needs, author, except), full_for, data, redacted)| Dispatch {
            name: Cow::Owned(name),
            intent,
            needs,
            author,
            except,
            full_for,
            data,
            redacted,
        },
    )
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        id().prop_map(Control::Joined),
        id().prop_map(Control::Left),
        id().prop_map(Control::Follow),
        id().prop_map(Control::Unfollow),
        (id(), any::<i32>())
            .prop_map(|(community, epoch)| Control::AccessChanged { community, epoch }),
        (id(), id(), any::<i32>()).prop_map(|(community, user, class)| {
            Control::ClassChanged {
                community,
                user,
                class,
            }
        }),
        prop::collection::vec(id(), 0..5).prop_map(Control::DevicesRevoked),
        id().prop_map(Control::BotTokenRevoked),
        id().prop_map(Control::ApiKeyRevoked),
        any::<[u8; 32]>().prop_map(Control::CookieReplaced),
        Just(Control::SightChanged),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let body = prop_oneof![
        dispatch().prop_map(Body::Dispatch),
        control().prop_map(Body::Control),
        (id(), prop::collection::vec(id(), 0..4), body()).prop_map(|(user, hidden_from, data)| {
            Body::Presence(Presence {
                user,
                hidden_from,
                data,
            })
        }),
    ];
    let version = prop_oneof![
        Just(Version::None),
        any::<i64>().prop_map(Version::Ev),
        any::<i64>().prop_map(Version::Rev),
    ];
    let place = (prop::option::of(id()), prop::option::of(id()));
    (body, place, version, any::<i32>(), any::<bool>()).prop_map(
        |(body, (community, channel), version, epoch, ephemeral)| Record {
            body,
            community,
            channel,
            version,
            epoch,
            ephemeral,
        },
    )
}

fn revoked(devices: Vec<DeviceId>) -> Record {
    Record {
        body: Body::Control(Control::DevicesRevoked(devices)),
        community: None,
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    }
}

proptest! {
    #[test]
    fn encoding_and_decoding_is_the_identity(record in record()) {
        prop_assert_eq!(Record::decode(record.encode()).unwrap(), record);
    }

    #[test]
    fn every_cut_record_is_refused(record in record(), part in 0.0..1.0f64) {
        let bytes = record.encode();
        #[expect(clippy::as_conversions, reason = "a share of a small length")]
        let cut = (bytes.len() as f64 * part) as usize;
        prop_assert!(Record::decode(bytes.slice(..cut)).is_err());
    }

    /// Junk never panics, and what it says, if anything, has no second spelling.
    #[test]
    fn p5_junk_is_refused_or_canonical(mut junk in prop::collection::vec(any::<u8>(), 0..200)) {
        // Half the head right, or nearly all junk would fail at the first byte.
        if let Some(first) = junk.first_mut() {
            *first = FORMAT;
        }
        let junk = Bytes::from(junk);
        if let Ok(record) = Record::decode(junk.clone()) {
            prop_assert_eq!(record.encode(), junk);
        }
    }

    #[test]
    fn p5_flipped_bytes_are_refused_or_canonical(
        record in record(),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = record.encode().to_vec();
        *place.get_mut(&mut bytes) = value;
        let bytes = Bytes::from(bytes);
        if let Ok(record) = Record::decode(bytes.clone()) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }
}

#[test]
fn the_bytes_of_format_1_stay_as_they_are() {
    let record = Record {
        body: Body::Dispatch(Dispatch {
            name: "TYPING_START".into(),
            intent: Some(11),
            needs: Chat::NONE,
            author: None,
            except: Some(UserId::new(3)),
            full_for: vec![],
            data: Bytes::from_static(b"{}"),
            redacted: None,
        }),
        community: Some(Id::new(1)),
        channel: Some(Id::new(2)),
        version: Version::None,
        epoch: 7,
        ephemeral: true,
    };
    let expected = [
        &[1, 0b111, 0, 0, 0, 7][..],
        &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
        &[0b101, 12],
        b"TYPING_START",
        &[11, 0, 0, 0, 0, 0, 0, 0, 3, 0, 2],
        b"{}",
    ];
    assert_eq!(record.encode(), expected.concat());
}

#[test]
fn bodies_are_slices_of_the_input() {
    let data = Bytes::from(vec![b'x'; 1_000]);
    let record = Record {
        body: Body::Dispatch(Dispatch {
            name: "X".into(),
            intent: None,
            needs: Chat::NONE,
            author: None,
            except: None,
            full_for: vec![],
            data,
            redacted: None,
        }),
        ..revoked(vec![])
    };
    let bytes = record.encode();
    let range = bytes.as_ptr_range();
    let Body::Dispatch(dispatch) = Record::decode(bytes).unwrap().body else {
        panic!("a dispatch became something else");
    };
    assert!(range.contains(&dispatch.data.as_ptr()));
}

#[test]
fn lengths_are_tried_at_their_edges() {
    for count in [0, 1, 127, 128, 16_383, 16_384] {
        let record = revoked((0..count).map(DeviceId::new).collect());
        assert_eq!(Record::decode(record.encode()).unwrap(), record);
    }
    let head = [1, CONTROL, 0, 0, 0, 0, DEVICES_REVOKED];
    for (length, what) in [
        (&[0x80, 0x00][..], "length is not in its shortest form"),
        (&[0xff, 0xff, 0xff, 0x7f], "too short"),
        (&[0x80, 0x80, 0x80, 0x80, 0x01], "length above 256 MiB"),
        (&[], "too short"),
    ] {
        let error = Record::decode([&head[..], length].concat().into()).unwrap_err();
        assert_eq!(error.to_string(), format!("decode fanout record: {what}"));
    }
}

#[test]
fn other_formats_flags_and_tails_are_refused() {
    let good = revoked(vec![]).encode();
    for (place, value) in [
        (0, 2),
        (1, CONTROL | 1 << 6),
        (1, CONTROL | EV | REV),
        (6, 9),
    ] {
        let mut bytes = good.to_vec();
        bytes[place] = value;
        assert!(
            Record::decode(bytes.into()).is_err(),
            "byte {place} = {value}"
        );
    }
    assert!(Record::decode([&good[..], &[0]].concat().into()).is_err());
    assert!(Record::decode(good).is_ok());
}
