//! The journal: what each generation moved, one line per generation.
//!
//! A line is `mosaicd.past("<CRC-32 of the JSON>",<JSON>);`, so that the page can read the file line by line, or,
//! opened straight from disk where it may not fetch files, run it as a script. The JSON: `g` generation, `t`
//! milliseconds since the Unix epoch, `c` columns and rows, `p` works placed or moved as `id,col,row` triples, `r` ids
//! that left, `d` how far works are from their homes on average, in hundredths of a cell (absent in lines of version 0.2
//! and older); a base (`"b":true`) starts from an empty mosaic: its `p` lists every work.
//!
//! The file is bounded: when it has grown too long, its older half becomes one base.

use crate::domain::{
    ArtworkId,
    manifest::{Manifest, Work},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the journal's lines call.
pub const CALL: &str = "mosaicd.past";

/// The journal may always have this many bytes,
const BYTES: usize = 2 << 20;
/// or this many for each work, if that is more.
const BYTES_PER_WORK: usize = 64;

/// One generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    g: u64,
    t: u64,
    c: (u32, u32),
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    b: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    p: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    r: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<u32>,
}

impl Line {
    fn place(&mut self, work: &Work) {
        self.p
            .extend([work.id.0, u64::from(work.col), u64::from(work.row)]);
    }
}

/// What a journal's lines add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    generation: u64,
    grid: (u32, u32),
    /// As [`Line::d`].
    drift: Option<u32>,
    cells: BTreeMap<u64, (u32, u32)>,
}

impl Past {
    /// Reads a journal. Also says whether every line was good; `None` if the text is not empty and no line is ours.
    pub fn read(text: &str) -> Option<(Self, bool)> {
        let mut past = Self::default();
        let (mut good, mut bad) = (0, 0);
        for line in text.split_inclusive('\n') {
            match parse(line) {
                Some(line) => {
                    past.apply(&line);
                    good += 1;
                }
                None => bad += 1,
            }
        }
        (good > 0 || text.is_empty()).then_some((past, bad == 0))
    }

    /// The last generation that was noted.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The line that takes the past to a manifest, whose works are ordered by id, and takes it there; `None` if it is
    /// there already. With `touched`, no other works than these are new, gone or elsewhere.
    pub fn note(&mut self, manifest: &Manifest, touched: Option<&[ArtworkId]>) -> Option<String> {
        if manifest.generation == self.generation {
            return None;
        }
        let mut line = Line {
            g: manifest.generation,
            t: manifest.published_ms,
            c: (manifest.grid.cols, manifest.grid.rows),
            b: self.cells.is_empty(),
            d: manifest
                .drift
                .map(|drift| (drift.mean * 100.0).round() as u32),
            ..Line::default()
        };
        match touched {
            Some(touched) => self.compare(manifest, touched, &mut line),
            None => self.compare_all(manifest, &mut line),
        }
        let still = line.p.is_empty() && line.r.is_empty() && line.c == self.grid;
        self.apply(&line);
        (!still).then(|| text(&line))
    }

    /// Says in `line` where works are elsewhere than a manifest has them.
    fn compare_all(&self, manifest: &Manifest, line: &mut Line) {
        let mut before = self.cells.iter().peekable();
        for work in &manifest.works {
            let (id, cell) = (work.id.0, (work.col, work.row));
            while let Some((gone, _)) = before.next_if(|(old, _)| **old < id) {
                line.r.push(*gone);
            }
            if before.next_if(|(old, _)| **old == id) != Some((&id, &cell)) {
                line.place(work);
            }
        }
        line.r.extend(before.map(|(gone, _)| *gone));
    }

    /// [`Past::compare_all`], of these works.
    fn compare(&self, manifest: &Manifest, ids: &[ArtworkId], line: &mut Line) {
        for id in ids {
            let at = manifest.works.binary_search_by_key(id, |work| work.id);
            let work = at.ok().map(|at| &manifest.works[at]);
            match (self.cells.get(&id.0), work) {
                (Some(cell), Some(work)) if *cell == (work.col, work.row) => {}
                (_, Some(work)) => line.place(work),
                (Some(_), None) => line.r.push(id.0),
                (None, None) => {}
            }
        }
    }

    /// Whether a journal of `bytes` is too long for the works there are.
    pub fn is_too_long(&self, bytes: usize) -> bool {
        bytes > BYTES.max(BYTES_PER_WORK * self.cells.len())
    }

    /// The journal with its older half as one base line, and without damaged lines.
    pub fn fold(journal: &str) -> String {
        let lines: Vec<Line> = journal.split_inclusive('\n').filter_map(parse).collect();
        let mut past = Self::default();
        let (mut read, mut old) = (0, 0_usize);
        for line in &lines {
            if read >= journal.len() / 2 {
                break;
            }
            read += text(line).len();
            past.apply(line);
            old += 1;
        }
        let base = old.checked_sub(1).map(|last| past.base(lines[last].t));
        let kept = base.iter().chain(&lines[old..]);
        kept.map(text).collect()
    }

    /// The journal without the works that `keep` does not want.
    pub fn forget(journal: &str, keep: impl Fn(ArtworkId) -> bool) -> String {
        let lines = journal.split_inclusive('\n').filter_map(parse);
        let without = |mut line: Line| {
            let triples = line.p.chunks_exact(3).filter(|p| keep(ArtworkId(p[0])));
            line.p = triples.flatten().copied().collect();
            line.r.retain(|id| keep(ArtworkId(*id)));
            text(&line)
        };
        lines.map(without).collect()
    }

    fn apply(&mut self, line: &Line) {
        if line.b {
            self.cells.clear();
        }
        (self.generation, self.grid, self.drift) = (line.g, line.c, line.d);
        for id in &line.r {
            self.cells.remove(id);
        }
        for p in line.p.chunks_exact(3) {
            let side = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
            self.cells.insert(p[0], (side(p[1]), side(p[2])));
        }
    }

    fn base(&self, at_ms: u64) -> Line {
        let cells = self.cells.iter();
        Line {
            g: self.generation,
            t: at_ms,
            c: self.grid,
            b: true,
            p: cells
                .flat_map(|(id, (col, row))| [*id, u64::from(*col), u64::from(*row)])
                .collect(),
            r: Vec::new(),
            d: self.drift,
        }
    }
}

fn text(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("numbers serialise");
    format!(
        "{CALL}(\"{:08x}\",{json});\n",
        crc32fast::hash(json.as_bytes())
    )
}

fn parse(line: &str) -> Option<Line> {
    let rest = line.strip_prefix(CALL)?.strip_prefix("(\"")?;
    let (crc, rest) = rest.split_once("\",")?;
    let json = rest.strip_suffix(");\n")?;
    let sound = crc == format!("{:08x}", crc32fast::hash(json.as_bytes()));
    sound.then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::manifest::{Drift, GridSize, Moves};
    use proptest::prelude::*;
    use std::sync::Arc;

    pub(crate) fn manifest(generation: u64, works: &[(u64, u32, u32)]) -> Manifest {
        let work =
            |&(id, col, row): &(u64, u32, u32)| Work::sample(id, &format!("{id}.png"), (col, row));
        Manifest {
            schema: 1,
            generation,
            published_ms: 1_000 + generation,
            model: "m".into(),
            title: "t".into(),
            grid: GridSize {
                cols: 9,
                rows: 9,
                cell_px: 32,
            },
            mosaic: None,
            pyramid: None,
            background: String::new(),
            fit: String::new(),
            spare: None,
            link: None,
            work_pages: None,
            folders: Vec::new(),
            works: works.iter().map(work).map(Arc::new).collect(),
            regions: Vec::new(),
            words_by: None,
            moves: Moves::default(),
            drift: None,
            quality: None,
            preview: None,
            png: None,
            webp: None,
            render_key: String::new(),
            undrawn: Vec::new(),
        }
    }

    /// A journal of generations 1, 2, …, and its past.
    fn kept(generations: &[Vec<(u64, u32, u32)>]) -> (String, Past) {
        let (mut journal, mut past) = (String::new(), Past::default());
        for (i, works) in generations.iter().enumerate() {
            journal += &past
                .note(&manifest(i as u64 + 1, works), None)
                .unwrap_or_default();
        }
        (journal, past)
    }

    fn generations() -> impl Strategy<Value = Vec<Vec<(u64, u32, u32)>>> {
        let works = prop::collection::btree_map(0u64..12, (0u32..9, 0u32..9), 0..8);
        let list = |works: std::collections::BTreeMap<u64, (u32, u32)>| {
            works
                .into_iter()
                .map(|(id, (col, row))| (id, col, row))
                .collect()
        };
        prop::collection::vec(works.prop_map(list), 1..12)
    }

    #[test]
    fn a_line_says_how_far_from_home_works_are_and_a_base_keeps_it() {
        let (mut past, mut journal) = (Past::default(), String::new());
        for (generation, mean) in [(1, 0.0), (2, 0.256), (3, 1.5)] {
            let mut manifest = manifest(generation, &[(7, generation as u32, 1)]);
            manifest.drift = Some(Drift { mean, p95: 2 });
            journal += &past.note(&manifest, None).expect("it moved");
        }
        let drift = |journal: &str| -> Vec<Option<u32>> {
            let lines = journal.split_inclusive('\n').filter_map(parse);
            lines.map(|line| line.d).collect()
        };
        assert_eq!(drift(&journal), [Some(0), Some(26), Some(150)]);
        assert_eq!(drift(&Past::fold(&journal)), [Some(26), Some(150)]);
        let (old, good) = Past::read(&text(&Line::default())).expect("ours");
        assert!(good && old.drift.is_none(), "a line of an older version");
    }

    fn cells(works: &[(u64, u32, u32)]) -> BTreeMap<u64, (u32, u32)> {
        works
            .iter()
            .map(|&(id, col, row)| (id, (col, row)))
            .collect()
    }

    proptest! {
        #[test]
        fn the_lines_add_up_to_the_last_generation(generations in generations()) {
            let (journal, past) = kept(&generations);
            let last = generations.last().expect("one at least");
            prop_assert_eq!(&past.cells, &cells(last));
            if !journal.is_empty() {
                let (read, good) = Past::read(&journal).expect("ours");
                prop_assert!(good);
                prop_assert_eq!(&read.cells, &past.cells);
                let folded = Past::fold(&journal);
                let (again, good) = Past::read(&folded).expect("ours");
                prop_assert!(good);
                prop_assert_eq!(&again, &read);
            }
        }

        #[test]
        fn a_forgotten_work_is_in_no_line(generations in generations(), id in 0u64..12) {
            let (journal, past) = kept(&generations);
            let without = Past::forget(&journal, |other| other.0 != id);
            let mut expected = past.cells;
            expected.remove(&id);
            let (read, _) = Past::read(&without).unwrap_or_default();
            prop_assert_eq!(read.cells, expected);
            for line in without.split_inclusive('\n').filter_map(parse) {
                prop_assert!(line.p.chunks(3).all(|p| p[0] != id) && !line.r.contains(&id));
            }
        }

        #[test]
        fn any_damage_costs_lines_and_nothing_else(generations in generations(), at in 0usize..4_000, bit in 0u8..7) {
            let (journal, _) = kept(&generations);
            let mut bytes = journal.clone().into_bytes();
            let n = bytes.len();
            if n > 0 {
                bytes[at % n] ^= 1 << bit;
                let damaged = String::from_utf8_lossy(&bytes).into_owned();
                let lines = |text: &str| text.split_inclusive('\n').filter_map(parse).count();
                prop_assert!(lines(&damaged) + 2 >= lines(&journal));
                prop_assert!(lines(&damaged) < lines(&journal));
            }
        }
    }

    /// Prints the figures of scale.md: 10,000 works, 1,000 generations of one arrival and two moves each; every
    /// hundredth moves 500 works, as a polish or a growth does.
    #[test]
    #[ignore = "a measurement: cargo test --release --lib history::journal -- --ignored --nocapture"]
    fn size_and_time_of_ten_thousand_works() {
        let mut works: Vec<(u64, u32, u32)> = (0..10_000)
            .map(|i| (i, i as u32 % 104, i as u32 / 104))
            .collect();
        let (mut past, mut journal) = (Past::default(), String::new());
        let (mut folds, mut noting) = (0, std::time::Duration::ZERO);
        for generation in 1..=1_000_u64 {
            works.push((
                works.len() as u64,
                generation as u32 % 104,
                200 + generation as u32 / 104,
            ));
            let moved = if generation.is_multiple_of(100) {
                500
            } else {
                2
            };
            for k in 0..moved {
                let at = (generation * 7_919 + k * 104_729) as usize % works.len();
                works[at].1 = (works[at].1 + 1) % 104;
            }
            let manifest = manifest(generation, &works);
            let began = std::time::Instant::now();
            journal.extend(past.note(&manifest, None));
            if past.is_too_long(journal.len()) {
                journal = Past::fold(&journal);
                folds += 1;
            }
            noting += began.elapsed();
        }
        let began = std::time::Instant::now();
        let (read, good) = Past::read(&journal).expect("ours");
        let reading = began.elapsed();
        assert!(good && read == past);
        let lines = journal.lines().count();
        eprintln!(
            "{lines} lines, {} bytes, the first {}; folded {folds} times; read in {reading:.1?}; noted in {:.2?} each",
            journal.len(),
            journal.lines().next().map_or(0, str::len),
            noting / 1_000
        );
    }

    #[test]
    fn a_note_of_the_touched_works_equals_one_of_all() {
        let (_, mut told) = kept(&[vec![(1, 0, 0), (2, 1, 0), (4, 2, 0)]]);
        let mut compared = told.clone();
        let next = manifest(2, &[(1, 0, 0), (3, 1, 0), (4, 2, 1)]);
        let touched = [2, 3, 4, 9].map(ArtworkId);
        let line = told.note(&next, Some(&touched));
        assert_eq!(line, compared.note(&next, None));
        assert_eq!(told, compared);
    }

    #[test]
    fn nothing_new_is_no_line_and_foreign_text_is_not_ours() {
        let (_, mut past) = kept(&[vec![(1, 0, 0)]]);
        assert_eq!(past.note(&manifest(2, &[(1, 0, 0)]), None), None);
        assert_eq!(past.generation(), 2);
        assert!(Past::read("alert(1)\n").is_none());
        assert!(Past::read("").is_some());
        assert!(past.is_too_long(3 << 20) && !past.is_too_long(1 << 20));
    }
}
