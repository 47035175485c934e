//! Where files are kept, by what else is set.

use super::Folder;
use crate::config::StoreKind;

const BUCKET: &[(&str, &str)] = &[
    ("MEYDAN_OBJECTS__S3__BUCKET", "files"),
    ("MEYDAN_OBJECTS__S3__ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("MEYDAN_OBJECTS__S3__SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
];

#[test]
fn files_lie_on_the_disk_unless_a_bucket_is_named() {
    let folder = Folder::new();
    let kind = |variables: &[(&str, &str)], set: &[&str]| {
        folder.load(variables, set).unwrap().config.store_kind()
    };
    assert_eq!(kind(&[], &[]), StoreKind::Disk);
    assert_eq!(kind(BUCKET, &[]), StoreKind::S3);
    assert_eq!(kind(BUCKET, &["objects.store=disk"]), StoreKind::Disk);
}

#[test]
fn a_bucket_needs_its_keys() {
    let folder = Folder::new();
    for absent in 0..BUCKET.len() {
        let mut some = BUCKET.to_vec();
        some.remove(absent);
        let errors = folder.errors(&some, &["objects.store=s3"]);
        assert!(errors.contains("objects.store: \"s3\" needs"), "{errors}");
        assert!(!errors.contains("wJalrXUtnFEMI"), "{errors}");
    }
}

#[test]
fn what_people_upload_crosses_no_network_in_the_clear() {
    let folder = Folder::new();
    let with = |endpoint| {
        let mut all = BUCKET.to_vec();
        all.push(("MEYDAN_OBJECTS__S3__ENDPOINT", endpoint));
        folder.load(&all, &[])
    };
    assert!(with("https://s3.example.com").is_ok());
    assert!(with("http://127.0.0.1:9000").is_ok());
    let refused = with("http://s3.example.com").unwrap_err().to_string();
    assert!(
        refused.contains("objects.s3.endpoint: must be https"),
        "{refused}"
    );
}
