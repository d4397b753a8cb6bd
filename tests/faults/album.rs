//! Pictures that are cheap to make and known by their hash, and a folder of them that somebody works in.

use mosaicd::artwork::{ContentHash, cell::CellSpec};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// A small generator of seeded numbers (xorshift64*): the faults are the same every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n.max(1)
    }
}

/// Picture number `i`: rings of two colours, 48 × 48, as a PNG.
pub fn picture(i: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    drawing(i)
        .write_to(
            &mut std::io::Cursor::new(&mut bytes),
            image::ImageFormat::Png,
        )
        .unwrap();
    bytes
}

fn drawing(i: u64) -> image::RgbImage {
    let seed = blake3::hash(&i.to_le_bytes());
    let s = seed.as_bytes();
    let (cx, cy) = (f32::from(s[0] % 48), f32::from(s[1] % 48));
    let width = 6.0 + f32::from(s[2] % 16);
    image::RgbImage::from_fn(48, 48, |x, y| {
        let far = (x as f32 - cx).hypot(y as f32 - cy) / width;
        let mix = 0.5 + 0.5 * far.sin();
        let at = |k: usize| f32::from(s[3 + k]) * mix + f32::from(s[6 + k]) * (1.0 - mix);
        image::Rgb([at(0) as u8, at(1) as u8, at(2) as u8])
    })
}

/// Every picture handed out, by its hash.
#[derive(Default)]
pub struct Album {
    by_hash: HashMap<ContentHash, u64>,
}

impl Album {
    /// The bytes of picture `i`, which is known from now on.
    pub fn hand_out(&mut self, i: u64) -> Vec<u8> {
        let bytes = picture(i);
        self.by_hash.insert(ContentHash::of(&bytes), i);
        bytes
    }

    /// The cell that content should be shown as, RGB row by row; `None` if nobody handed it out.
    pub fn cell(&self, hash: &ContentHash, spec: &CellSpec) -> Option<Vec<u8>> {
        let rgba = image::DynamicImage::ImageRgb8(drawing(*self.by_hash.get(hash)?)).to_rgba8();
        let picture = mosaicd::artwork::decode::Picture {
            width: rgba.width(),
            height: rgba.height(),
            rgba: rgba.into_raw(),
        };
        Some(mosaicd::artwork::cell::prepare(&picture, spec).rgb)
    }
}

/// Somebody who adds, edits, renames and deletes, in every way that uploads come.
pub struct Editor {
    root: PathBuf,
    pub album: Album,
    pub dice: Dice,
    next: u64,
    files: Vec<PathBuf>,
    /// A folder below the root whose files are elsewhere: its name, and where they are now.
    pub also: Option<(PathBuf, PathBuf)>,
    /// About as many files as this are kept.
    aim: usize,
}

impl Editor {
    pub fn new(root: &Path, seed: u64, aim: usize) -> Self {
        Self {
            root: root.to_owned(),
            album: Album::default(),
            dice: Dice(seed),
            next: 0,
            files: Vec::new(),
            also: None,
            aim,
        }
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The path of any file.
    pub fn any_file(&mut self) -> Option<String> {
        let i = self.pick()?;
        Some(self.files[i].to_str().unwrap().to_owned())
    }

    /// Where the file at a path is.
    fn place(&self, path: &Path) -> PathBuf {
        match &self.also {
            Some((name, folder)) if path.starts_with(name) => {
                folder.join(path.strip_prefix(name).unwrap())
            }
            _ => self.root.join(path),
        }
    }

    /// A path for another name of a file: on the same disk.
    fn beside(&self, path: &Path, name: String) -> PathBuf {
        match &self.also {
            Some((folder, _)) if path.starts_with(folder) => folder.join(name),
            _ => PathBuf::from(name),
        }
    }

    /// Adds `count` works.
    pub fn add(&mut self, count: usize) {
        (0..count).for_each(|_| self.arrive());
    }

    /// Does one thing.
    pub fn step(&mut self) {
        let few = self.files.len() < self.aim;
        match self.dice.below(if few { 6 } else { 10 }) {
            0..4 => self.arrive(),
            4 => self.edit(),
            5 => self.rename(),
            6 => self.copy(),
            _ => self.delete(),
        }
    }

    /// Works for a third of a random time of up to `longest`, and lets what comes of it happen in the rest.
    pub fn work_for_a_while(&mut self, longest: Duration) {
        let whole = longest.mul_f64(self.dice.below(1_000) as f64 / 1e3);
        let began = Instant::now();
        while began.elapsed() < whole / 3 {
            self.step();
            thread::sleep(Duration::from_micros(self.dice.below(60_000)));
        }
        thread::sleep(whole.saturating_sub(began.elapsed()));
    }

    fn new_picture(&mut self) -> Vec<u8> {
        self.next += 1;
        self.album.hand_out(self.next)
    }

    fn arrive(&mut self) {
        let bytes = self.new_picture();
        let folder = format!("{}", self.dice.below(12));
        let ways = 3 + u64::from(self.also.is_some());
        let path = match (self.dice.below(ways), &self.also) {
            (3, Some((name, _))) => name.join(format!("{}.png", self.next)),
            (0, _) => PathBuf::from(format!("{}.png", self.next)),
            (1, _) => Path::new(&folder).join(format!("{}.png", self.next)),
            _ => Path::new(&folder)
                .join("deep")
                .join(format!("{}.png", self.next)),
        };
        fs::create_dir_all(self.place(&path).parent().unwrap()).unwrap();
        self.write(&path, &bytes);
        self.files.push(path);
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) {
        let target = self.place(path);
        if self.dice.below(2) == 0 {
            let hidden = target.with_file_name(format!(".{}.Xy12z", self.next));
            fs::write(&hidden, bytes).unwrap();
            fs::rename(hidden, target).unwrap();
        } else {
            fs::write(target, bytes).unwrap();
        }
    }

    fn pick(&mut self) -> Option<usize> {
        (!self.files.is_empty()).then(|| self.dice.below(self.files.len() as u64) as usize)
    }

    fn edit(&mut self) {
        if let Some(i) = self.pick() {
            let (path, bytes) = (self.files[i].clone(), self.new_picture());
            self.write(&path, &bytes);
        }
    }

    fn rename(&mut self) {
        if let Some(i) = self.pick() {
            self.next += 1;
            let to = self.beside(&self.files[i], format!("renamed-{}.png", self.next));
            fs::rename(self.place(&self.files[i]), self.place(&to)).unwrap();
            self.files[i] = to;
        }
    }

    /// The same content under another name.
    fn copy(&mut self) {
        if let Some(i) = self.pick() {
            self.next += 1;
            let to = PathBuf::from(format!("copy-{}.png", self.next));
            fs::copy(self.place(&self.files[i]), self.place(&to)).unwrap();
            self.files.push(to);
        }
    }

    fn delete(&mut self) {
        if let Some(i) = self.pick() {
            let path = self.files.swap_remove(i);
            fs::remove_file(self.place(&path)).unwrap();
        }
    }
}
