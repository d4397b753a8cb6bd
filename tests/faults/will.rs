//! What the owner does besides changing works: a mount below the artwork folder that comes and goes, ignore files that change
//! and are saved badly, a table that is saved in every way. It knows what must be shown after all that.

use crate::{
    album::Editor,
    check::until,
    common::{Site, put},
    disk::Mounted,
};
use mosaicd::{artwork::ContentHash, domain::manifest::Manifest};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The mount's name below the artwork folder.
const NAS: &str = "nas";
/// What the ignore files may say: the file, a line in it (none: the file alone speaks), and what it leaves out.
type Rule = (&'static str, &'static str, fn(&str) -> bool);
const RULES: [Rule; 5] = [
    (".mosaicignore", "3/", |path| path.starts_with("3/")),
    (".mosaicignore", "*7.png", |path| path.ends_with("7.png")),
    (".mosaicignore", "copy-*", |path| path.starts_with("copy-")),
    ("5/.mosaicignore", "deep/", |path| {
        path.starts_with("5/deep/")
    }),
    ("6/.nomedia", "", |path| path.starts_with("6/")),
];

/// The owner of a site.
pub struct Owner<'a> {
    site: &'a Site,
    /// A disk of its own that is mounted below the artwork folder; without root, a folder that is moved away instead.
    disk: Option<Mounted>,
    mounted: Option<Mounted>,
    is_there: bool,
    /// Works of the mount that must go on being shown while it is away, and those that may.
    held: (BTreeMap<String, ContentHash>, BTreeMap<String, ContentHash>),
    /// The rules in force, by their place in [`RULES`].
    rules: BTreeSet<usize>,
    titles: BTreeMap<String, String>,
    saved: u64,
    /// How often the mount came or went, the rules changed, the table was saved.
    pub did: [u64; 3],
}

impl Drop for Owner<'_> {
    fn drop(&mut self) {
        // The mount before the disk that it shows.
        drop(self.mounted.take());
        drop(self.disk.take());
    }
}

impl<'a> Owner<'a> {
    /// An owner whose mount is there, and who has no rules and no table yet.
    pub fn new(site: &'a Site, editor: &mut Editor) -> Self {
        let nas = site.art(NAS);
        fs::create_dir_all(&nas).unwrap();
        for folder in ["5", "6"] {
            fs::create_dir_all(site.art(folder)).unwrap();
        }
        let disk = Mounted::tmpfs(&site.path("disk"), 200);
        let mut owner = Self {
            site,
            disk,
            mounted: None,
            is_there: true,
            held: Default::default(),
            rules: BTreeSet::new(),
            titles: BTreeMap::new(),
            saved: 0,
            did: [0; 3],
        };
        if owner.disk.is_some() {
            owner.mounted = Mounted::bound(&site.path("disk"), &nas);
        }
        editor.also = Some((NAS.into(), owner.share()));
        owner
    }

    /// Where the mount's files are now.
    fn share(&self) -> PathBuf {
        match (&self.disk, self.is_there) {
            (Some(_), _) => self.site.path("disk"),
            (None, true) => self.site.art(NAS),
            (None, false) => self.site.path("away"),
        }
    }

    /// Does one thing. The folder and the mosaic must be the same before.
    pub fn step(&mut self, editor: &mut Editor) {
        match editor.dice.below(4) {
            0 => self.come_or_go(editor),
            1 => self.change_rules(editor),
            2 => self.save_rules_badly(editor),
            _ => self.save_table(editor),
        }
    }

    fn come_or_go(&mut self, editor: &mut Editor) {
        self.did[0] += 1;
        self.is_there = !self.is_there;
        let (nas, away) = (self.site.art(NAS), self.site.path("away"));
        match (&self.disk, self.is_there) {
            (Some(_), true) => {
                self.mounted = Mounted::bound(&self.site.path("disk"), &nas);
                assert!(self.mounted.is_some(), "cannot be mounted again");
            }
            (Some(_), false) => {
                let manifest = self.site.manifest();
                let works = manifest.works.into_iter();
                let works = works.filter(|work| Path::new(&work.path).starts_with(NAS));
                let works: BTreeMap<_, _> =
                    works.map(|work| (work.path.clone(), work.hash)).collect();
                self.held = (works.clone(), works);
                self.mounted = None;
            }
            (None, true) => fs::rename(away, nas).unwrap(),
            (None, false) => fs::rename(nas, away).unwrap(),
        }
        if self.is_there {
            self.held = Default::default();
        }
        editor.also = Some((NAS.into(), self.share()));
    }

    /// Whether a rule leaves a path out.
    fn leaves_out(&self, path: &str) -> bool {
        self.rules.iter().any(|&rule| RULES[rule].2(path))
    }

    fn change_rules(&mut self, editor: &mut Editor) {
        self.did[1] += 1;
        let rule = editor.dice.below(RULES.len() as u64) as usize;
        if !self.rules.remove(&rule) {
            self.rules.insert(rule);
        }
        // What is opted out while its mount is away does not come back before it.
        let required = std::mem::take(&mut self.held.0).into_iter();
        self.held.0 = required
            .filter(|(path, _)| !self.leaves_out(path))
            .collect();
        self.save_rules(rule, editor.dice.below(2) == 0);
    }

    /// Saves the file that a rule is in, by a rename or in place.
    fn save_rules(&mut self, rule: usize, by_rename: bool) {
        let file = RULES[rule].0;
        let text = self.text(file);
        let path = self.site.art(file);
        match (text, by_rename) {
            (None, _) => drop(fs::remove_file(path)),
            (Some(text), true) => put(&path, text.as_bytes()),
            (Some(text), false) => fs::write(path, text).unwrap(),
        }
    }

    /// What is in an ignore file; `None` if there is to be none.
    fn text(&mut self, file: &str) -> Option<String> {
        self.saved += 1;
        let mut text = format!("# saved {} times\n", self.saved);
        let mut any = false;
        for &rule in &self.rules {
            if RULES[rule].0 == file {
                text += &format!("{}\n", RULES[rule].1);
                any = true;
            }
        }
        match file.ends_with(".nomedia") {
            true => any.then(String::new),
            false => Some(text),
        }
    }

    /// Saves an ignore file as it is, badly for a moment; nothing that it leaves out may be shown meanwhile.
    fn save_rules_badly(&mut self, editor: &mut Editor) {
        self.did[1] += 1;
        let rule = editor.dice.below(4) as usize;
        let file = RULES[rule].0;
        let path = self.site.art(file);
        let good = self.text(file).unwrap_or_default();
        match editor.dice.below(7) {
            0 => drop(fs::remove_file(&path)),
            1 => fs::write(&path, "").unwrap(),
            2 => fs::write(&path, &good[..good.len() / 2]).unwrap(),
            3 => fs::write(&path, b"Entw\xfcrfe/\n").unwrap(),
            4 => fs::write(&path, good.replace('\n', "\\\n")).unwrap(),
            5 => {
                let utf16 = good.encode_utf16().flat_map(u16::to_be_bytes);
                fs::write(&path, utf16.collect::<Vec<u8>>()).unwrap();
            }
            _ => {
                drop(fs::remove_file(&path));
                fs::create_dir(&path).unwrap();
            }
        }
        for _ in 0..editor.dice.below(30) {
            let shown = self.site.manifest().works;
            let private = shown.iter().find(|work| self.leaves_out(&work.path));
            assert!(private.is_none(), "{private:?} is shown");
            thread::sleep(Duration::from_millis(50));
        }
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        fs::write(&path, good).unwrap();
    }

    fn save_table(&mut self, editor: &mut Editor) {
        self.did[2] += 1;
        for _ in 0..editor.dice.below(20) {
            let Some(path) = editor.any_file() else {
                return;
            };
            let title = format!("Title {}", editor.dice.below(1_000));
            self.titles.insert(path, title);
        }
        let rows = self.titles.iter();
        let rows: String = rows
            .map(|(path, title)| format!("{path},{title}\n"))
            .collect();
        let table = format!("path,title\n{rows}");
        let path = self.site.art("artworks.csv");
        match editor.dice.below(6) {
            0 => put(&path, table.as_bytes()),
            1 => fs::write(&path, table.replace(',', ";")).unwrap(),
            bad => {
                match bad {
                    2 => fs::write(&path, &table[..table.len() / 2]).unwrap(),
                    3 => fs::write(&path, b"pfad,titel\nx\xff,\"y\n").unwrap(),
                    4 => fs::write(&path, "").unwrap(),
                    _ => drop(fs::remove_file(&path)),
                }
                thread::sleep(Duration::from_millis(editor.dice.below(3_000)));
                fs::write(&path, table).unwrap();
            }
        }
    }

    /// Waits until the mosaic shows what it must, and gives the time that took.
    pub fn until_same(&self) -> (Manifest, Duration) {
        until(self.site, |manifest| self.differences(manifest))
    }

    /// What differs between the folder under the rules, with its table, and the manifest.
    fn differences(&self, manifest: &Manifest) -> Vec<String> {
        let own = |path: &str| {
            path.ends_with(".mosaicignore") || path.ends_with(".nomedia") || path == "artworks.csv"
        };
        let mut there = files(&self.site.artworks());
        there.retain(|path, _| !own(path) && !self.leaves_out(path));
        let (must, may) = &self.held;
        let mut wrong = Vec::new();
        let works = manifest.works.iter();
        let shown: BTreeMap<_, _> = works.map(|work| (work.path.as_str(), work)).collect();
        for (path, hash) in there.iter().chain(must) {
            match shown.get(path.as_str()) {
                None => wrong.push(format!("{path} is not shown")),
                Some(work) if work.hash != *hash => {
                    wrong.push(format!("{path} is shown as it was"))
                }
                Some(work) if work.title.as_ref() != self.titles.get(path) => {
                    wrong.push(format!("{path} has the title {:?}", work.title));
                }
                Some(_) => {}
            }
        }
        let shown = shown.keys().filter(|path| {
            let known = there.contains_key(**path) || may.contains_key(**path);
            !known || self.leaves_out(path)
        });
        wrong.extend(shown.map(|path| format!("{path} is shown and must not be")));
        wrong
    }
}

/// Every file below a folder that is not half written, by its path.
fn files(root: &Path) -> BTreeMap<String, ContentHash> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), ContentHash::of(&fs::read(&path).unwrap()));
        }
    }
    found
}
