//! Names that are never artworks: hidden files, files that are still being copied, and files that systems and programs
//! leave behind. One table, with the program that gives each name; `mosaicd validate --explain` quotes it.
//!
//! The names are from the programs' own documentation or source as far as it could be found. A name belongs here only if no
//! artist would give it to a work. Names that a person may well choose (`image.png.1` of wget, `image-LAPTOP.png` of
//! OneDrive) are not in the table: a pattern in [`IGNORE_FILE`](super::IGNORE_FILE) leaves those out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Why names that begin with a dot are left out. Among them: the temporary files of rsync, ownCloud, Nextcloud, Syncthing,
/// ProFTPD, Pure-FTPd, davfs2, NFS and FUSE; macOS' `._*`, `.DS_Store`, `.Trashes`, `.AppleDouble`; `.Trash-1000`
/// (freedesktop.org); `.zfs`, `.snapshot`, `.snapshots` (btrfs, snapper); QNAP's `.@__thumb`; `.recycle` (Samba); vim's
/// `.swp` files, Emacs' `.#` locks, LibreOffice's `.~lock`.
const HIDDEN: &str = "its name begins with a dot: hidden files and folders are no artworks";

/// Names in lower case, who gives them, and the document that says so. `*` stands for anything, at the beginning and at the
/// end of a name. Without a document: other indexers' lists have the name, the program's own documentation was not found.
const LITTER: &[(&str, &str, &str)] = &[
    // Files that are still being copied or downloaded.
    (
        "*.part",
        "an unfinished download (Firefox, KDE, Nextcloud, JDownloader)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    (
        "*.partial",
        "an unfinished copy (rclone, Internet Explorer)",
        "rclone docs: --partial-suffix",
    ),
    (
        "*.crdownload",
        "an unfinished download (Chrome, Edge)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    ("*.download", "an unfinished download (Safari)", ""),
    ("*.opdownload", "an unfinished download (Opera)", ""),
    (
        "*.filepart",
        "an unfinished upload (WinSCP)",
        "winscp.net/eng/docs/resume",
    ),
    (
        "*.aria2",
        "the control file of a download (aria2)",
        "aria2c(1)",
    ),
    ("*.ytdl", "the control file of a download (yt-dlp)", ""),
    ("*.!ut", "an unfinished download (uTorrent)", ""),
    (
        "*.!qb",
        "an unfinished download (qBittorrent)",
        "qBittorrent wiki: downloads, append extension",
    ),
    ("*.!sync", "an unfinished copy (Resilio Sync)", ""),
    ("*.bc!", "an unfinished download (BitComet)", ""),
    (
        "*_.gstmp",
        "an unfinished download (gsutil)",
        "gsutil docs: cp",
    ),
    (
        "*.ffs_tmp",
        "an unfinished copy (FreeFileSync)",
        "FreeFileSync manual",
    ),
    (
        "*.cyberducksegment",
        "an unfinished download (Cyberduck)",
        "Cyberduck source: segmented downloads",
    ),
    (
        "~syncthing~*",
        "an unfinished copy (Syncthing)",
        "lib/fs/tempname.go of Syncthing",
    ),
    ("*.sb-*-*", "a file that is being saved (macOS)", ""),
    (
        "(a document being saved by *",
        "a folder for a file that is being saved (macOS)",
        "",
    ),
    ("*.tmp", "a temporary file", ""),
    ("*.temp", "a temporary file", ""),
    (
        "*.*_exiftool_tmp",
        "a temporary file of exiftool",
        "exiftool(1): -overwrite_original",
    ),
    // Backups that programs make when they save.
    (
        "*.*_original",
        "the backup that exiftool keeps of an edited file",
        "exiftool(1): -overwrite_original",
    ),
    (
        "*~",
        "a backup of an editor, of cp --backup or of rsync --backup",
        "cp(1), rsync(1), Emacs manual: Backup Names",
    ),
    ("*.bak", "a backup", ""),
    ("*.backup", "a backup", ""),
    (
        "_gsdata_",
        "earlier versions and deleted files (GoodSync)",
        "help.goodsync.com: What is the gsdata Folder",
    ),
    (
        "files_versions",
        "earlier versions (Nextcloud, ownCloud)",
        "Nextcloud source: apps/files_versions",
    ),
    (
        "*.orig",
        "a backup (patch, merge tools)",
        "patch(1), git-mergetool(1)",
    ),
    ("*.old", "a backup", ""),
    ("*.swp", "an editor's swap file", "Vim :help swap-file"),
    (
        "#*#",
        "an auto-save file of Emacs",
        "Emacs manual: Auto Save Files",
    ),
    (
        "~$*",
        "a lock file of Microsoft Office",
        "sync-exclude.lst of the Nextcloud client",
    ),
    // Copies that a program makes when two people changed one file.
    (
        "*.sync-conflict-*",
        "a conflict copy (Syncthing)",
        "docs.syncthing.net: syncing",
    ),
    (
        "*(conflicted copy*",
        "a conflict copy (Nextcloud, ownCloud)",
        "docs.nextcloud.com: Conflicts",
    ),
    (
        "*conflicted copy *)*",
        "a conflict copy (Dropbox)",
        "dropbox.com/help/36",
    ),
    (
        "*_conflict-*",
        "a conflict copy (ownCloud, older Nextcloud)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    (
        "*(sfconflict *",
        "a conflict copy (Seafile)",
        "Seafile manual: File conflicts",
    ),
    (
        "*.conflict",
        "a conflict copy (Resilio Sync)",
        "help.resilio.com: Conflict files in Sync",
    ),
    (
        "*.conflict.*",
        "a conflict copy (Resilio Sync)",
        "help.resilio.com: Conflict files in Sync",
    ),
    (
        "*_conflict.*",
        "a conflict copy (Synology Drive)",
        "kb.synology.com: Synology_Drive_file_conflict_resolution",
    ),
    (
        "*_caseconflict*",
        "a conflict copy (Synology Drive)",
        "kb.synology.com: Synology_Drive_file_conflict_resolution",
    ),
    (
        "*_whitespaceconflict*",
        "a conflict copy (Synology Drive)",
        "kb.synology.com: Synology_Drive_file_conflict_resolution",
    ),
    (
        "*_tailcharacterconflict*",
        "a conflict copy (Synology Drive)",
        "kb.synology.com: Synology_Drive_file_conflict_resolution",
    ),
    ("*[conflict*", "a conflict copy (Insync, Google Drive)", ""),
    // Recycle bins.
    (
        "#recycle",
        "a recycle bin (Synology)",
        "Synology help: Recycle Bin",
    ),
    (
        "@recycle",
        "a recycle bin (QNAP)",
        "QTS manual: Network Recycle Bin",
    ),
    (
        "$recycle.bin",
        "a recycle bin (Windows)",
        "Microsoft Learn: Recycle Bin",
    ),
    (
        "recycler",
        "a recycle bin (Windows XP)",
        "Microsoft Learn: Recycle Bin",
    ),
    (
        "recycled",
        "a recycle bin (Windows 98)",
        "Microsoft Learn: Recycle Bin",
    ),
    (
        "files_trashbin",
        "a recycle bin (Nextcloud, ownCloud)",
        "Nextcloud source: apps/files_trashbin",
    ),
    (
        "found.000",
        "pieces of files that a check of the disk found (Windows)",
        "",
    ),
    ("trashbox", "a recycle bin (Buffalo)", ""),
    (
        "network trash folder",
        "a recycle bin (macOS, AFP)",
        "github.com/github/gitignore: Global/macOS",
    ),
    // Snapshots.
    (
        "#snapshot",
        "snapshots (Synology)",
        "Synology help: Snapshot Replication",
    ),
    ("@sharesnap", "snapshots (Synology)", ""),
    (
        "@recently-snapshot",
        "snapshots (QNAP)",
        "QTS manual: Snapshots",
    ),
    (
        "~snapshot",
        "snapshots (NetApp)",
        "ONTAP docs: Snapshot copy directory",
    ),
    (
        "@gmt-*",
        "a snapshot (Samba, shadow_copy2)",
        "vfs_shadow_copy2(8)",
    ),
    // What systems keep next to the files.
    ("@eadir", "thumbnails and indexes (Synology)", ""),
    ("@tmp", "temporary files (Synology)", ""),
    ("@sharebin", "a folder of the system (Synology)", ""),
    (
        "@synologycloudsync",
        "a folder of the system (Synology)",
        "",
    ),
    ("*@synoeastream", "attributes of a file (Synology)", ""),
    ("*@synoresource", "attributes of a file (Synology)", ""),
    ("@upload_cache", "unfinished uploads (QNAP)", ""),
    (
        "thumbs.db",
        "thumbnails (Windows)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    ("ehthumbs.db", "thumbnails (Windows)", ""),
    (
        "desktop.ini",
        "a folder's settings (Windows)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    (
        "system volume information",
        "a folder of the system (Windows)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    (
        "lost+found",
        "a folder of the file system (ext4)",
        "fsck(8), mklost+found(8)",
    ),
    ("__macosx", "attributes of files (macOS archives)", ""),
    (
        "icon\r",
        "a folder's icon (macOS)",
        "sync-exclude.lst of the Nextcloud client",
    ),
    (
        "temporary items",
        "temporary files (macOS)",
        "github.com/github/gitignore: Global/macOS",
    ),
    (
        "thevolumesettingsfolder",
        "a folder of the system (macOS)",
        "",
    ),
    (
        "*.lrdata",
        "previews (Lightroom)",
        "Adobe help: Lightroom preference and other file locations",
    ),
];

/// Why a file or folder of this name is never an artwork; `None` if it may be one.
pub(super) fn litter(name: &OsStr) -> Option<&'static str> {
    let name = name.as_bytes();
    if name.starts_with(b".") {
        return Some(HIDDEN);
    }
    let name = name.to_ascii_lowercase();
    let found = LITTER
        .iter()
        .find(|(form, ..)| fits(form.as_bytes(), &name));
    found.map(|(_, why, _)| *why)
}

/// Whether a name is one of the table's, or hidden.
pub(super) fn is_litter(name: &OsStr) -> bool {
    litter(name).is_some()
}

/// Whether a name has a form: its parts between the `*`, in this order.
fn fits(form: &[u8], name: &[u8]) -> bool {
    // Most forms fail here.
    if form.last() != Some(&b'*') && form.last() != name.last() {
        return false;
    }
    let mut parts = form.split(|&byte| byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match memchr::memmem::find(rest, middle) {
                Some(at) => rest = &rest[at + middle.len()..],
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_leave_behind_is_no_artwork_and_what_people_make_is() {
        let litters = [
            // rsync, ProFTPD, Pure-FTPd, Nextcloud, Syncthing, davfs2, NFS, FUSE
            ".a.png.Xy12Zw",
            ".in.a.png.",
            ".pureftpd-upload.5f3a",
            ".a.png.~1f2e",
            ".syncthing.a.png.tmp",
            ".davfs.tmp1",
            ".nfs0000001",
            ".fuse_hidden0001",
            "~syncthing~a.png.tmp",
            // browsers, rclone, WinSCP, curl and wget by their users' usual suffixes
            "a.png.part",
            "A.PNG.CRDOWNLOAD",
            "a.png.download",
            "a.png.opdownload",
            "a.png.a1b2c3d4.partial",
            "a.png.filepart",
            "a.png.aria2",
            "a.png_.gstmp",
            "a.png.tmp",
            "a.png.ocTransferId123.part",
            // exiftool, editors
            "a.png_original",
            "a.jpg_exiftool_tmp",
            "a.png~",
            "a.png.~1~",
            "a.png.bak",
            "a.orig",
            "#a.png#",
            "~$a.docx",
            ".a.png.swp",
            ".#a.png",
            "a.png.swp",
            "a.png.sb-1c0a2b3d-XyZ123",
            "(A Document Being Saved By Preview)",
            "a.png.backup",
            "_gsdata_",
            "files_versions",
            // conflict copies
            "a.sync-conflict-20240101-120000-ABCDEF7.png",
            "a (conflicted copy 2024-01-01 120000).png",
            "a (Ann's conflicted copy 2024-01-01).png",
            "a_conflict-20190101-120000.png",
            "a.png (SFConflict ann@x.org 2015-03-07-11-30-28)",
            "a (SFConflict 2015-03-07-11-30-28).png",
            "a.Conflict.png",
            "a.Conflict",
            "a_Andy-PC_Jan-03-0901-2013_CaseConflict_1.png",
            "a_Andy-PC_Jan-03-0901-2013_Conflict.png",
            "a[Conflict].png",
            // recycle bins, snapshots, thumbnails
            "#recycle",
            "@Recycle",
            "$RECYCLE.BIN",
            ".Trash-1000",
            ".Trashes",
            "RECYCLER",
            "trashbox",
            "files_trashbin",
            "FOUND.000",
            "#snapshot",
            ".zfs",
            ".snapshots",
            ".snapshot",
            "~snapshot",
            "@GMT-2024.01.01-00.00.00",
            "@Recently-Snapshot",
            "@eaDir",
            ".@__thumb",
            "@tmp",
            "a.png@SynoEAStream",
            "lost+found",
            "Thumbs.db",
            "._a.png",
            ".DS_Store",
            ".AppleDouble",
            "__MACOSX",
            "System Volume Information",
            "Icon\r",
        ];
        let works = [
            "a.png",
            "part",
            "tmp.png",
            "thumbs.db.png",
            "caf\u{e9}.jpg",
            "original.png",
            "the_original.png",
            "conflict.png",
            "Conflict (oil on canvas).png",
            "inner conflict.png",
            "a_conflict_of_interest.png",
            "recycled art.png",
            "sea_original",
            "recycling.png",
            "snapshot.png",
            "trash box.png",
            "a (1).png",
            "a.png.1",
            "copy of a.png",
            "bak.png",
            "old.png",
            "#1.png",
            "@home.png",
            "~tilde.png",
            "backup.png",
            "$5.png",
            "orig.png",
            "download.png",
        ];
        let all = litters.iter().map(|name| (name, true));
        for (name, is) in all.chain(works.iter().map(|name| (name, false))) {
            assert_eq!(is_litter(OsStr::new(name)), is, "{name:?}");
        }
        assert_eq!(litter(OsStr::from_bytes(b"caf\xe9.jpg")), None);
        // Every form is said once, in lower case.
        let forms: std::collections::BTreeSet<_> = LITTER.iter().map(|(form, ..)| form).collect();
        assert_eq!(forms.len(), LITTER.len());
        assert!(forms.iter().all(|form| **form == form.to_ascii_lowercase()));
    }

    #[test]
    fn forms_fit_at_their_ends_and_in_between() {
        for (form, name, fit) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("a*", "ab", true),
            ("*a*", "bab", true),
            ("*a*b*", "xaxbx", true),
            ("*a*b*", "xbxax", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(form.as_bytes(), name.as_bytes()), fit, "{form} {name}");
        }
    }
}
