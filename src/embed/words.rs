//! Words for places of the mosaic: which words of a list describe what sets a region apart.
//!
//! A region is known by the mean of its embeddings, a word by its own from the same model's text encoder. Pictures and
//! words of CLIP lie in two cones of the same space, so plain similarity favours the same few words everywhere; a region
//! is therefore compared after the mean of the whole collection is taken away, which asks what is *here and not
//! elsewhere*.
//!
//! Pure.

use std::collections::HashSet;

/// A word is left out if it says the same as a better one: cosine of their embeddings above this.
const SAME: f32 = 0.95;

/// Most words of a list.
pub const MOST_WORDS: usize = 10_000;
/// Longest word or phrase, characters.
const LONGEST: usize = 200;

/// A word list that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// It has no words.
    #[error("the word list is empty: one word or phrase a line is expected")]
    Empty,
    /// It has too many.
    #[error("the word list has more than {MOST_WORDS} words")]
    TooMany,
    /// A line is too long.
    #[error("line {line} of the word list is longer than {LONGEST} characters")]
    TooLong {
        /// Its number, from 1.
        line: usize,
    },
}

/// The words of a list: one word or phrase a line, `#` begins a comment line, doubles count once.
pub fn parse(text: &str) -> Result<Vec<String>, WordsError> {
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
        words.push(word);
    }
    match words.len() {
        0 => Err(WordsError::Empty),
        1..=MOST_WORDS => Ok(words),
        _ => Err(WordsError::TooMany),
    }
}

/// The words of a list with their embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// The words, in the list's order.
    pub words: Vec<String>,
    /// Their embeddings, of length 1.
    pub embeddings: Vec<Vec<f32>>,
}

/// A word's place in its list, and how well it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Index of the word.
    pub word: usize,
    /// Dot product of the word with what sets the region apart, > 0; comparable within a region only.
    pub score: f32,
}

/// The mean of embeddings of `dims` values, row-major; `None` without any.
pub fn mean<'a>(embeddings: impl IntoIterator<Item = &'a [f32]>, dims: usize) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f64; dims];
    let mut count = 0_u32;
    for embedding in embeddings {
        count += 1;
        for (sum, &value) in sum.iter_mut().zip(embedding) {
            *sum += f64::from(value);
        }
    }
    (count > 0).then(|| {
        sum.into_iter()
            .map(|sum| (sum / f64::from(count)) as f32)
            .collect()
    })
}

/// The best words for a region, best first, at most `count`: none that the region does not lean towards, none that
/// repeats a better one.
///
/// `region` is the mean of the region's embeddings, `whole` that of the collection's, `vocabulary` the words'
/// embeddings of length 1, all of the same length. Where region and collection are the same there is nothing that sets
/// it apart, and the words nearest to the mean itself are returned. Ties go to the word that comes first.
pub fn best_words(
    region: &[f32],
    whole: &[f32],
    vocabulary: &[Vec<f32>],
    count: usize,
) -> Vec<Fit> {
    let apart: Vec<f32> = region.iter().zip(whole).map(|(r, w)| r - w).collect();
    // Rounding alone is no difference.
    let direction = match dot(&apart, &apart) > 1e-9 * dot(region, region) {
        true => &apart[..],
        false => region,
    };
    let mut fits: Vec<Fit> = vocabulary
        .iter()
        .enumerate()
        .map(|(word, embedding)| Fit {
            word,
            score: dot(direction, embedding),
        })
        .filter(|fit| fit.score > 0.0)
        .collect();
    fits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.word.cmp(&b.word)));
    let mut best: Vec<Fit> = Vec::with_capacity(count);
    for fit in fits {
        if best.len() == count {
            break;
        }
        let says = |other: &Fit| dot(&vocabulary[fit.word], &vocabulary[other.word]);
        if best.iter().all(|better| says(better) <= SAME) {
            best.push(fit);
        }
    }
    best
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(fits: &[Fit]) -> Vec<usize> {
        fits.iter().map(|fit| fit.word).collect()
    }

    /// Three words along the axes, and one that is nearly the first.
    fn vocabulary() -> Vec<Vec<f32>> {
        vec![
            vec![1.0, 0.0, 0.0],
            vec![0.0, 1.0, 0.0],
            vec![0.0, 0.0, 1.0],
            vec![0.995, 0.1, 0.0],
        ]
    }

    #[test]
    fn a_region_gets_what_sets_it_apart() {
        // Everything leans towards the third word; this region more than others towards the first.
        let (region, whole) = ([0.4, 0.1, 0.8], [0.1, 0.2, 0.9]);
        assert_eq!(indices(&best_words(&region, &whole, &vocabulary(), 5)), [0]);
        assert_eq!(
            indices(&best_words(&[0.1, 0.4, 0.95], &whole, &vocabulary(), 2)),
            [1, 2]
        );
        assert_eq!(best_words(&region, &whole, &vocabulary(), 0), []);
        assert_eq!(best_words(&region, &whole, &[], 3), []);
    }

    #[test]
    fn the_whole_collection_gets_its_nearest_words() {
        let whole = [0.1, 0.2, 0.9];
        let best = best_words(&whole, &whole, &vocabulary(), 2);
        assert_eq!(indices(&best), [2, 1]);
        assert!((best[0].score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn words_that_say_the_same_count_once() {
        let (region, whole) = ([1.0, 0.3, 0.0], [0.0; 3]);
        // The fourth word fits best, and the first is nearly the same.
        assert_eq!(
            indices(&best_words(&region, &whole, &vocabulary(), 3)),
            [3, 1]
        );
    }

    #[test]
    fn means_are_means() {
        let rows = [[1.0, 2.0], [3.0, 5.0]];
        assert_eq!(mean(rows.iter().map(|r| &r[..]), 2), Some(vec![2.0, 3.5]));
        assert_eq!(mean(std::iter::empty(), 2), None);
    }

    #[test]
    fn a_list_is_read_line_by_line() {
        let words = parse("\u{feff}piano  keys\r\n# a comment\n\n  sea \nsea\ncafé\n");
        assert_eq!(
            words.as_deref(),
            Ok(&["piano keys".to_owned(), "sea".into(), "café".into()][..])
        );
        assert_eq!(parse("\n# nothing\n"), Err(WordsError::Empty));
        let long = format!("a\n{}", "é".repeat(201));
        assert_eq!(parse(&long), Err(WordsError::TooLong { line: 2 }));
        let many: String = (0..=MOST_WORDS).map(|i| format!("{i}\n")).collect();
        assert_eq!(parse(&many), Err(WordsError::TooMany));
    }
}
