//! The table of methods against what is served.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use rpc::{DESCRIPTORS, INTERNAL_DESCRIPTORS, INTERNAL_METHODS, METHODS, Policy};

/// The full names of all methods in an encoded set.
fn methods_of(encoded: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(encoded).unwrap();
    let mut names = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                names.push(format!("/{package}.{service}/{}", method.name()));
            }
        }
    }
    names
}

#[test]
fn every_method_that_is_served_has_a_policy() {
    let served = [
        DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let served: BTreeSet<String> = served.into_iter().flat_map(methods_of).collect();
    let declared: BTreeSet<String> = METHODS.iter().map(|it| it.path.to_owned()).collect();
    assert_eq!(served, declared);
    assert_eq!(declared.len(), METHODS.len(), "each stands there once");
}

#[test]
fn s2_internal_methods_are_declared_and_need_a_service_token_but_the_first() {
    let served: BTreeSet<String> = methods_of(INTERNAL_DESCRIPTORS).into_iter().collect();
    let declared: BTreeSet<String> = INTERNAL_METHODS
        .iter()
        .map(|it| it.path.to_owned())
        .collect();
    assert_eq!(served, declared);
    assert_eq!(
        declared.len(),
        INTERNAL_METHODS.len(),
        "each stands there once"
    );
    for method in INTERNAL_METHODS {
        let first = method.path.ends_with("/ServiceToken");
        let expected = if first {
            Policy::Public
        } else {
            Policy::Internal
        };
        assert_eq!(method.policy, expected, "{}", method.path);
        let by_clients = METHODS.iter().any(|it| it.path == method.path);
        assert!(!by_clients, "{} is not for clients", method.path);
    }
    let policies = METHODS.iter().map(|method| method.policy);
    assert!(
        policies
            .into_iter()
            .all(|policy| policy != Policy::Internal)
    );
}

#[test]
fn s25_the_service_has_the_six_calls_and_their_first_fields() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let fields = |name: &str| -> Vec<String> {
        let messages = set.file.iter().flat_map(|file| &file.message_type);
        let message = messages.into_iter().find(|it| it.name() == name).unwrap();
        let mut fields: Vec<_> = message.field.iter().collect();
        fields.sort_by_key(|field| field.number());
        fields.iter().map(|it| it.name().to_owned()).collect()
    };
    assert_eq!(methods_of(DESCRIPTORS).len(), 6);
    for (message, first) in [
        ("SendOTPRequest", &["phone_number"][..]),
        ("SendOTPResponse", &["success"]),
        ("VerifyOTPRequest", &["phone_number", "otp_code"]),
        ("VerifyOTPResponse", &["access_token", "refresh_token"]),
        ("ValidateTokenRequest", &["access_token"]),
        ("ValidateTokenResponse", &["is_valid", "user_id"]),
        ("RefreshTokenRequest", &["refresh_token"]),
        ("RefreshTokenResponse", &["access_token", "refresh_token"]),
        ("RevokeCurrentDeviceRequest", &["refresh_token"]),
        ("RevokeCurrentDeviceResponse", &["success"]),
        ("LogoutAllDevicesRequest", &["access_token"]),
        ("LogoutAllDevicesResponse", &["success"]),
    ] {
        assert!(
            fields(message)
                .starts_with(&first.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()),
            "{message}"
        );
    }
}
