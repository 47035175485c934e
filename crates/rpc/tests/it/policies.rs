//! The table of methods against what is served.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use rpc::{DESCRIPTORS, METHODS};

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
