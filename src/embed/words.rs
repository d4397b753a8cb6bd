//! Words for places of the mosaic: the words of a list that say how a place differs from the rest; and the works that a
//! word fits best.
//!
//! A place is known by the mean of its works' embeddings, a word by its own from the same model's text encoder. CLIP's
//! pictures and words are in two separate cones of the same space, so plain similarity prefers the same few words
//! everywhere. The mean of the whole collection is therefore subtracted from the place's mean: a word must fit *this
//! place more than others*. Works are compared with words in the same way.
//!
//! Pure.

use crate::matrix::Matrix;
use std::collections::HashSet;

/// A word is left out if it says the same as a better one: cosine of their embeddings above this.
const SAME: f32 = 0.95;
/// A word that a place already has counts this much more there, so that words are stable.
const HELD: f32 = 1.2;

/// A word is left out if it fits less than this much as well as the best one.
const FITTING: f32 = 0.5;

/// A word fits a work only if it is among the best of the list for it: one in so many.
const ONE_IN: usize = 20;

/// Most words of a list.
pub const MOST_WORDS: usize = 10_000;
/// Largest list, bytes: [`MOST_WORDS`] of the longest words in any script.
pub const MOST_BYTES: u64 = 8 << 20;
/// Longest word or phrase, characters.
const LONGEST: usize = 200;

/// A word list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// It has no words.
    #[error("the word list is empty: one word or phrase a line is expected")]
    Empty,
    /// It has too many.
    #[error("line {line} of the word list is one word too many: it may have {MOST_WORDS}")]
    TooMany {
        /// The first line beyond, from 1.
        line: usize,
    },
    /// The file cannot be a word list.
    #[error("the word list is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// A line is too long.
    #[error("line {line} of the word list is longer than {LONGEST} characters")]
    TooLong {
        /// Its number, from 1.
        line: usize,
    },
    /// It is not UTF-8.
    #[error("line {line} of the word list is not UTF-8 text")]
    NotText {
        /// The first line that is not, from 1.
        line: usize,
    },
}

/// The words of a list: UTF-8, one word or phrase a line, `#` begins a comment line, doubles count once.
pub fn parse(bytes: &[u8]) -> Result<Vec<String>, WordsError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        WordsError::NotText {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
        }
    })?;
    let mut seen = HashSet::new();
    let mut words = Vec::new();
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let word = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if word.is_empty() || word.starts_with('#') || !seen.insert(word.clone()) {
            continue;
        }
        if word.chars().count() > LONGEST {
            return Err(WordsError::TooLong { line: i + 1 });
        }
        if words.len() == MOST_WORDS {
            return Err(WordsError::TooMany { line: i + 1 });
        }
        words.push(word);
    }
    match words.is_empty() {
        true => Err(WordsError::Empty),
        false => Ok(words),
    }
}

/// The words of a list with their embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The words, in the list's order.
    pub words: Vec<String>,
    /// Their embeddings of length 1, words × D.
    pub embeddings: Matrix,
}

/// A word's place in its list, and how well it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Index of the word.
    pub word: usize,
    /// Dot product of the word with what sets the place apart, > 0, more for a word that is held; comparable within a
    /// place only.
    pub score: f32,
}

/// The best words for a place, best first, at most `count`: none that the place does not lean towards more than the
/// collection does, none that fits less than half as well as the best, and none that repeats a better one.
///
/// `apart` is the mean of the place's embeddings less that of the collection's, `D` values; `held` are the words that
/// stand there already. Ties go to the word that comes first in the list.
pub fn best_words(
    apart: &[f32],
    vocabulary: &Vocabulary,
    held: &HashSet<usize>,
    count: usize,
) -> Vec<Fit> {
    let embeddings = &vocabulary.embeddings;
    let mut fits: Vec<Fit> = (0..embeddings.rows())
        .map(|word| {
            let more = if held.contains(&word) { HELD } else { 1.0 };
            let score = more * dot(apart, embeddings.row(word));
            Fit { word, score }
        })
        .filter(|fit| fit.score > 0.0)
        .collect();
    fits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.word.cmp(&b.word)));
    let mut best: Vec<Fit> = Vec::with_capacity(count);
    let least = FITTING * fits.first().map_or(0.0, |fit| fit.score);
    for fit in fits {
        if best.len() == count || fit.score < least {
            break;
        }
        let says = |other: &Fit| dot(embeddings.row(fit.word), embeddings.row(other.word));
        if best.iter().all(|better| says(better) <= SAME) {
            best.push(fit);
        }
    }
    best
}

/// Rows of `works` that each word fits best, best first, at most `count`, `N × D`; rows of zeros are not known.
///
/// A word fits a work only if it is among the best twentieth of the list for it, and half as well as for the word's best
/// work: most words of a long list fit nothing in a collection. Ties go to the first row.
pub fn best_works(works: &Matrix, vocabulary: &Vocabulary, count: usize) -> Vec<Vec<usize>> {
    let words = &vocabulary.embeddings;
    let known = |row: &[f32]| row.iter().any(|&value| value != 0.0);
    let rows: Vec<usize> = (0..works.rows()).filter(|&i| known(works.row(i))).collect();
    let mut mean = vec![0.0_f32; works.dims()];
    for &i in &rows {
        for (mean, &value) in mean.iter_mut().zip(works.row(i)) {
            *mean += value / rows.len() as f32;
        }
    }
    let biases: Vec<f32> = (0..words.rows())
        .map(|word| dot(&mean, words.row(word)))
        .collect();
    let of_a_work = words.rows().div_ceil(ONE_IN).min(words.rows());
    let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::new(); words.rows()];
    for &i in &rows {
        let score = |(word, bias): (usize, &f32)| (dot(works.row(i), words.row(word)) - bias, word);
        let mut fits: Vec<(f32, usize)> = biases.iter().enumerate().map(score).collect();
        if of_a_work < fits.len() {
            fits.select_nth_unstable_by(of_a_work, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            fits.truncate(of_a_work);
        }
        for (score, word) in fits.into_iter().filter(|&(score, _)| score > 0.0) {
            let list = &mut best[word];
            let at = list.partition_point(|&(better, _)| better >= score);
            if at < count {
                list.truncate(count - 1);
                list.insert(at, (score, i));
            }
        }
    }
    let fitting = |list: Vec<(f32, usize)>| {
        let least = FITTING * list.first().map_or(0.0, |&(score, _)| score);
        let fitting = list.into_iter().take_while(|&(score, _)| score >= least);
        fitting.map(|(_, row)| row).collect()
    };
    best.into_iter().map(fitting).collect()
}

/// Sums in lanes, which a processor adds at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three words along the axes, and one that is nearly the first.
    fn vocabulary() -> Vocabulary {
        let rows = [
            [1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.995, 0.1, 0.0],
        ];
        Vocabulary {
            words: ["a", "b", "c", "nearly a"].map(str::to_owned).to_vec(),
            embeddings: Matrix::from_data(rows.concat(), 3).expect("rows of three"),
        }
    }

    fn best(apart: [f32; 3], held: &[usize], count: usize) -> Vec<usize> {
        let held = held.iter().copied().collect();
        let fits = best_words(&apart, &vocabulary(), &held, count);
        fits.iter().map(|fit| fit.word).collect()
    }

    #[test]
    fn a_place_gets_what_sets_it_apart() {
        // Everything leans towards the third word; this place less than others, and more towards the first.
        assert_eq!(best([0.3, -0.1, -0.1], &[], 5), [0]);
        assert_eq!(best([0.0, 0.2, 0.15], &[], 2), [1, 2]);
        assert_eq!(
            best([0.0, 0.2, 0.05], &[], 2),
            [1],
            "the other one hardly fits"
        );
        assert_eq!(best([0.3, -0.1, -0.1], &[], 0), [0; 0]);
        assert_eq!(best([0.0; 3], &[], 3), [0; 0], "nothing sets it apart");
    }

    #[test]
    fn words_that_say_the_same_count_once() {
        // The fourth word fits best, and the first is nearly the same.
        assert_eq!(best([1.0, 0.6, 0.0], &[], 3), [3, 1]);
    }

    #[test]
    fn a_word_that_stands_there_stays_while_another_is_hardly_better() {
        assert_eq!(best([0.0, 0.9, 1.0], &[], 1), [2]);
        assert_eq!(best([0.0, 0.9, 1.0], &[1], 1), [1]);
        assert_eq!(best([0.0, 0.8, 1.0], &[1], 1), [2]);
    }

    #[test]
    fn a_word_has_the_works_that_it_fits_more_than_others() {
        // All works lean towards the second word, some more towards the first or what is nearly the first.
        let works = [
            [0.6, 0.8, 0.0],
            [0.8, 0.6, 0.0],
            [0.0, 1.0, 0.0],
            [0.6, 0.8, 0.0],
            [0.0, 0.0, 0.0],
            [0.96, 0.28, 0.0],
            [0.0, 0.99, 0.14],
        ];
        let works = Matrix::from_data(works.concat(), 3).expect("rows of three");
        let best = |count| best_works(&works, &vocabulary(), count);
        assert_eq!(best(3), [vec![5, 1], vec![2, 6], vec![], vec![0, 3]]);
        assert_eq!(best(1), [vec![5], vec![2], vec![], vec![0]]);
        let nothing = Matrix::new(3);
        assert_eq!(best_works(&nothing, &vocabulary(), 3), vec![vec![0; 0]; 4]);
    }

    #[test]
    fn a_list_is_read_line_by_line() {
        let words = parse("\u{feff}piano  keys\r\n# a comment\n\n  sea \nsea\ncafé\n".as_bytes());
        assert_eq!(
            words.as_deref(),
            Ok(&["piano keys".to_owned(), "sea".into(), "café".into()][..])
        );
        assert_eq!(parse(b"\n# nothing\n"), Err(WordsError::Empty));
        let long = format!("a\n{}", "é".repeat(201));
        assert_eq!(parse(long.as_bytes()), Err(WordsError::TooLong { line: 2 }));
        let many: String = (0..=MOST_WORDS).map(|i| format!("{i}\n")).collect();
        let line = MOST_WORDS + 1;
        assert_eq!(parse(many.as_bytes()), Err(WordsError::TooMany { line }));
        assert_eq!(
            parse(b"sea\ncaf\xe9\n"),
            Err(WordsError::NotText { line: 2 })
        );
    }
}
