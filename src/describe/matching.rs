//! Which lines of a table name no work, and what they may have meant. Pure.

use super::{Descriptions, Mistake, Mistakes, Row, called, text};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The lines whose path is not among `files` (as the manifest writes them): named with what is there instead. Paths of
/// which `is_excused` says that they need not be there are passed over.
pub fn unmatched<'a>(
    descriptions: &Descriptions,
    files: impl Iterator<Item = &'a str>,
    is_excused: impl Fn(&str) -> bool,
) -> Vec<Mistake> {
    if descriptions.0.is_empty() {
        return Vec::new();
    }
    let files: HashSet<String> = files
        .flat_map(|path| [Some(path.to_owned()), called(path)])
        .flatten()
        .map(|path| text::composed(&path).into_owned())
        .collect();
    let missing = descriptions.0.iter();
    let mut missing: Vec<(&String, &Row)> = missing
        .filter(|(path, _)| !files.contains(*path) && !is_excused(path))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    missing.sort_by_key(|(_, row)| (&row.file, row.line));
    let mut alike: HashMap<String, Option<&str>> = HashMap::new();
    for path in &files {
        for key in keys(path) {
            let is_new = !alike.contains_key(&key);
            let one = alike.entry(key).or_insert(Some(path));
            // A hint that fits several files is no help.
            *one = one.filter(|_| is_new);
        }
    }
    let mut tables: BTreeMap<&str, Mistakes> = BTreeMap::new();
    for (path, row) in missing {
        let folder = row.file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let short = |path: &str| match folder {
            "" => path.to_owned(),
            folder => path
                .strip_prefix(&format!("{folder}/"))
                .unwrap_or(path)
                .to_owned(),
        };
        let meant = keys(path).into_iter().find_map(|key| *alike.get(&key)?);
        let meant = meant.map_or(String::new(), |meant| {
            format!("; did you mean {:?}?", short(meant))
        });
        let table = tables
            .entry(&row.file)
            .or_insert_with(|| Mistakes::of(&row.file));
        table.add(format!(
            "line {}: no work is at {:?}{meant}",
            row.line,
            short(path)
        ));
    }
    tables.into_values().flat_map(Mistakes::list).collect()
}

/// What two paths have in common that people take for one, the closest first: the path in small letters, without its
/// extension, and the file's name alone.
fn keys(path: &str) -> Vec<String> {
    let plain = path.to_lowercase().replace('\\', "/");
    let plain = plain.trim().trim_start_matches('/').to_owned();
    let name = plain.rsplit('/').next().unwrap_or("").to_owned();
    let stem = |path: &str| match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => stem.to_owned(),
        _ => path.to_owned(),
    };
    let all = [stem(&plain), stem(&name), name, plain];
    let mut keys: Vec<String> = all.into_iter().rev().collect();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_line_that_names_no_work_is_told_with_what_it_may_have_meant() {
        let table = "path,title\nW000.PNG,x\n/w001.png,x\nartworks/w002.png,x\nw003,x\nnothing.png,x\nw004.png,x\nprivate.png,x\n";
        let (found, wrong) = parse(table.as_bytes(), "artworks.csv", "");
        assert!(wrong.is_empty(), "{wrong:?}");
        let files: Vec<String> = (0..9).map(|i| format!("w00{i}.png")).collect();
        let files = files.iter().map(String::as_str);
        let told = unmatched(&found, files, |path| path.starts_with("private"));
        let told: Vec<&str> = told.iter().map(|mistake| mistake.what.as_str()).collect();
        assert_eq!(told.len(), 5, "{told:?}");
        for (i, said) in told.iter().enumerate().take(4) {
            let meant = format!("did you mean \"w00{i}.png\"?");
            assert!(
                said.starts_with(&format!("line {}: ", i + 2)) && said.ends_with(&meant),
                "{said}"
            );
        }
        assert_eq!(told[4], "line 6: no work is at \"nothing.png\"");
        let (found, _) = parse(table.as_bytes(), "oil/artworks.csv", "oil");
        let told = unmatched(&found, ["oil/w000.png", "ink/w000.png"].into_iter(), |_| {
            false
        });
        assert!(
            told[0]
                .what
                .contains("no work is at \"W000.PNG\"; did you mean \"w000.png\"?"),
            "{told:?}"
        );
    }
}
