//! Unit tests of how files come to be in the output folder.

use super::*;

#[test]
fn a_file_renamed_before_the_sync_is_flushed_under_its_new_name_and_a_passing_one_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = Folder::open(dir.path(), None).expect("the folder");
    let staged = folder.stage("mosaic.jpg", b"pixels").expect("staged");
    folder
        .commit_as(staged, "mosaic-1-00000000.jpg")
        .expect("renamed");
    folder
        .write_new("t/8/0_0-00000000.jpg", b"tile")
        .expect("written");
    folder.replace("status.json", b"{}").expect("replaced");
    let mut waiting: Vec<_> = folder.unsynced().iter().cloned().collect();
    waiting.sort();
    let names = ["mosaic-1-00000000.jpg", "t", "t/8", "t/8/0_0-00000000.jpg"];
    assert_eq!(waiting, names.map(|name| folder.path(name)));
    folder.sync().expect("flushed");
    assert!(folder.unsynced().is_empty());
    // A file that an earlier run left may not be on the disk yet.
    assert!(
        !folder
            .write_new("t/8/0_0-00000000.jpg", b"tile")
            .expect("there")
    );
    assert_eq!(folder.unsynced().len(), 1);
}
