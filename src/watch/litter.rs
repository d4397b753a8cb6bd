//! Names that are never artworks: hidden files, files that are still being copied, and files that systems and programs
//! leave behind. One table, with the program that gives each name; `mosaicd validate --explain` quotes it.
//!
//! The names are from the programs' own documentation or source, named in each line. A name belongs here only if no
//! artist would give it to a work. Names that a person may well choose (`image.png.1` of wget, `image-LAPTOP.png` of
//! OneDrive) are not in the table: a pattern in [`IGNORE_FILE`](super::IGNORE_FILE) leaves those out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Why names that begin with a dot are left out. Among them: the temporary files of rsync, ownCloud, Nextcloud, Syncthing,
/// ProFTPD, Pure-FTPd, davfs2, NFS and FUSE; macOS' `._*`, `.DS_Store`, `.Trashes`, `.AppleDouble`; `.Trash-1000`
/// (freedesktop.org); `.zfs`, `.snapshot`, `.snapshots` (btrfs, snapper); QNAP's `.@__thumb`; `.recycle` (Samba); vim's
/// `.swp` files, Emacs' `.#` locks, LibreOffice's `.~lock`.
const HIDDEN: &str = "its name begins with a dot: hidden files and folders are no artworks";

/// Names in lower case, and who gives them. `*` stands for anything, at the beginning and at the end of a name.
const LITTER: &[(&str, &str)] = &[
    // Files that are still being copied or downloaded.
    (
        "*.part",
        "an unfinished download (Firefox, KDE, Nextcloud, JDownloader)",
    ),
    (
        "*.partial",
        "an unfinished copy (rclone, Internet Explorer)",
    ),
    ("*.crdownload", "an unfinished download (Chrome, Edge)"),
    ("*.download", "an unfinished download (Safari)"),
    ("*.opdownload", "an unfinished download (Opera)"),
    ("*.filepart", "an unfinished upload (WinSCP)"),
    ("*.aria2", "the control file of a download (aria2)"),
    ("*.ytdl", "the control file of a download (yt-dlp)"),
    ("*.!ut", "an unfinished download (uTorrent)"),
    ("*.!qb", "an unfinished download (qBittorrent)"),
    ("*.!sync", "an unfinished copy (Resilio Sync)"),
    ("*.bc!", "an unfinished download (BitComet)"),
    ("*_.gstmp", "an unfinished download (gsutil)"),
    ("*.ffs_tmp", "an unfinished copy (FreeFileSync)"),
    ("*.cyberducksegment", "an unfinished download (Cyberduck)"),
    ("~syncthing~*", "an unfinished copy (Syncthing)"),
    ("*.tmp", "a temporary file"),
    ("*.temp", "a temporary file"),
    ("*.*_exiftool_tmp", "a temporary file of exiftool"),
    // Backups that programs make when they save.
    (
        "*.*_original",
        "the backup that exiftool keeps of an edited file",
    ),
    (
        "*~",
        "a backup of an editor, of cp --backup or of rsync --backup",
    ),
    ("*.bak", "a backup"),
    ("*.orig", "a backup (patch, merge tools)"),
    ("*.old", "a backup"),
    ("*.swp", "an editor's swap file"),
    ("#*#", "an auto-save file of Emacs"),
    ("~$*", "a lock file of Microsoft Office"),
    // Copies that a program makes when two people changed one file.
    ("*.sync-conflict-*", "a conflict copy (Syncthing)"),
    (
        "*(conflicted copy*",
        "a conflict copy (Nextcloud, ownCloud)",
    ),
    ("*conflicted copy *)*", "a conflict copy (Dropbox)"),
    (
        "*_conflict-*",
        "a conflict copy (ownCloud, older Nextcloud)",
    ),
    ("*(sfconflict *", "a conflict copy (Seafile)"),
    ("*.conflict", "a conflict copy (Resilio Sync)"),
    ("*.conflict.*", "a conflict copy (Resilio Sync)"),
    ("*_conflict.*", "a conflict copy (Synology Drive)"),
    ("*_caseconflict*", "a conflict copy (Synology Drive)"),
    ("*_whitespaceconflict*", "a conflict copy (Synology Drive)"),
    (
        "*_tailcharacterconflict*",
        "a conflict copy (Synology Drive)",
    ),
    ("*[conflict*", "a conflict copy (Insync, Google Drive)"),
    // Recycle bins.
    ("#recycle", "a recycle bin (Synology)"),
    ("@recycle", "a recycle bin (QNAP)"),
    ("$recycle.bin", "a recycle bin (Windows)"),
    ("recycler", "a recycle bin (Windows XP)"),
    ("recycled", "a recycle bin (Windows 98)"),
    ("trashbox", "a recycle bin (Buffalo)"),
    ("network trash folder", "a recycle bin (macOS, AFP)"),
    // Snapshots.
    ("#snapshot", "snapshots (Synology)"),
    ("@sharesnap", "snapshots (Synology)"),
    ("@recently-snapshot", "snapshots (QNAP)"),
    ("~snapshot", "snapshots (NetApp)"),
    ("@gmt-*", "a snapshot (Samba, shadow_copy2)"),
    // What systems keep next to the files.
    ("@eadir", "thumbnails and indexes (Synology)"),
    ("@tmp", "temporary files (Synology)"),
    ("@sharebin", "a folder of the system (Synology)"),
    ("@synologycloudsync", "a folder of the system (Synology)"),
    ("*@synoeastream", "attributes of a file (Synology)"),
    ("*@synoresource", "attributes of a file (Synology)"),
    ("@upload_cache", "unfinished uploads (QNAP)"),
    ("thumbs.db", "thumbnails (Windows)"),
    ("ehthumbs.db", "thumbnails (Windows)"),
    ("desktop.ini", "a folder's settings (Windows)"),
    (
        "system volume information",
        "a folder of the system (Windows)",
    ),
    ("lost+found", "a folder of the file system (ext4)"),
    ("__macosx", "attributes of files (macOS archives)"),
    ("icon\r", "a folder's icon (macOS)"),
    ("temporary items", "temporary files (macOS)"),
    ("thevolumesettingsfolder", "a folder of the system (macOS)"),
    ("*.lrdata", "previews (Lightroom)"),
];

/// Why a file or folder of this name is never an artwork; `None` if it may be one.
pub(super) fn litter(name: &OsStr) -> Option<&'static str> {
    let name = name.as_bytes();
    if name.starts_with(b".") {
        return Some(HIDDEN);
    }
    let name = name.to_ascii_lowercase();
    let found = LITTER.iter().find(|(form, _)| fits(form.as_bytes(), &name));
    found.map(|(_, why)| *why)
}

/// Whether a name is one of the table's, or hidden.
pub(super) fn is_litter(name: &OsStr) -> bool {
    litter(name).is_some()
}

/// Whether a name has a form: its parts between the `*`, in this order.
fn fits(form: &[u8], name: &[u8]) -> bool {
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
    fn what_programs_leave_behind_is_no_artwork() {
        for name in [
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
        ] {
            assert!(is_litter(OsStr::new(name)), "{name:?}");
        }
    }

    #[test]
    fn what_people_call_their_works_is_left_alone() {
        for name in [
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
        ] {
            assert_eq!(litter(OsStr::new(name)), None, "{name:?}");
        }
        assert_eq!(litter(OsStr::from_bytes(b"caf\xe9.jpg")), None);
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
