//! The promises of the room's door.

use super::*;
use std::path::Path;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("m.toml")).map_err(|e| e.to_string())
}

#[test]
fn the_commented_file_is_the_default_and_names_every_key() {
    assert_eq!(
        parse(COMMENTED).expect("the embedded file is good"),
        Config::default()
    );
    let file: toml::Table = COMMENTED.parse().expect("it is TOML");
    assert_eq!(
        file,
        toml::Table::try_from(Config::default()).expect("it serialises")
    );
}

#[test]
fn every_key_of_the_commented_file_has_a_comment() {
    let mut above = false;
    for line in COMMENTED.lines() {
        let commented = line.contains('#');
        if line.contains('=') && !line.starts_with('#') {
            assert!(commented || above, "no comment: {line}");
        }
        above = line.starts_with('#');
    }
}

/// The lines of an example in the commented file that is commented out itself.
fn example(first: &str) -> String {
    let lines = COMMENTED.lines().map(|line| line.trim_start_matches("# "));
    let example = lines.skip_while(|line| *line != first);
    let example: Vec<_> = example.take_while(|line| !line.is_empty()).collect();
    example.join("\n")
}

#[test]
fn the_example_of_several_folders_is_good() {
    let text = example("[[folder]]");
    let config = parse(&text).expect("the example is good");
    assert_eq!(config.folder.len(), 2, "{text}");
    assert!(config.folder.iter().all(|folder| !folder.title.is_empty()));
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").expect("empty is good"), Config::default());
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let error = parse("[grid]\nreserv = 0.1\ncolums = 3\nsize_px = 64\n[[folder]]\npaht = \"a\"\n")
        .expect_err("four unknown keys");
    for hint in [
        "unknown key grid.reserv (did you mean grid.reserve?)",
        "unknown key grid.colums (did you mean grid.columns?)",
        "unknown key grid.size_px (did you mean tile.size_px?)",
        "unknown key folder.paht (did you mean folder.path?)",
    ] {
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn every_bound_is_reported_at_once() {
    let error =
        parse("[tile]\nsize_px = 100\n[mosaic]\nquality = 0\n").expect_err("both are wrong");
    assert!(
        error.contains("tile.size_px") && error.contains("mosaic.quality"),
        "{error}"
    );
}

#[test]
fn a_wrong_type_names_its_line() {
    let error = parse("[grid]\nreserve = \"much\"\n").expect_err("text is no number");
    assert!(error.contains("line 2"), "{error}");
    assert!(
        parse("[tile]\nbackground = \"blue\"\n")
            .expect_err("no colour")
            .contains("#101418")
    );
    assert!(
        parse("folder = 3\n")
            .expect_err("no list")
            .contains("[[folder]]")
    );
}

#[test]
fn a_polish_has_its_time() {
    let of = |text: &str| parse(&format!("[grid]\npolish = \"{text}\"\n")).map(|c| c.grid.polish);
    for (text, polish) in [
        ("quiet", Polish::Quiet),
        ("never", Polish::Never),
        ("00:00", Polish::At(0)),
        ("23:59", Polish::At(1_439)),
    ] {
        assert_eq!(of(text).expect("good"), polish);
        assert_eq!(polish.to_string(), text);
    }
    for text in ["24:00", "3:00", "03:60", "+3:00", "noon", ""] {
        let error = of(text).expect_err(text);
        assert!(
            error.contains("grid.polish") && error.contains("03:00"),
            "{error}"
        );
    }
}

#[test]
fn a_spare_cell_is_blended_or_of_a_colour() {
    let of = |text: &str| parse(&format!("[mosaic]\nspare = \"{text}\"\n")).map(|c| c.mosaic.spare);
    assert_eq!(of("blend").expect("good"), Spare::Blend);
    assert_eq!(
        of("#00ff10").expect("good"),
        Spare::Colour(Colour([0, 255, 16]))
    );
    let error = of("white").expect_err("no colour");
    assert!(
        error.contains("mosaic.spare") && error.contains("blend"),
        "{error}"
    );
}

#[test]
fn nan_is_out_of_bounds() {
    assert!(parse("[grid]\naspect = nan\n").is_err());
}

#[test]
fn several_folders_have_names_of_their_own() {
    let two = parse("[[folder]]\npath = \"a/oil\"\n[[folder]]\npath = \"b/oil\"\nname = \"old\"\n");
    let two = two.expect("names differ");
    let watched: Vec<_> = two.watched().into_iter().map(|(name, _)| name).collect();
    assert_eq!(watched, ["oil", "old"]);
    let one = parse("[[folder]]\npath = \"a/oil\"\n").expect("one is good");
    assert_eq!(one.watched(), [("", Path::new("a/oil"))]);
    for (text, hint) in [
        (
            "[[folder]]\npath = \"a/oil\"\n[[folder]]\npath = \"b/oil\"\n",
            "\"oil\"",
        ),
        ("[[folder]]\ntitle = \"x\"\n", "no path"),
        ("[[folder]]\npath = \"/\"\n", "needs a name"),
        ("[[folder]]\npath = \"a\"\nname = \"x/y\"\n", "needs a name"),
        (
            "[folders]\nartworks = \"a\"\n[[folder]]\npath = \"b\"\n",
            "exclude each other",
        ),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(hint), "{error}");
    }
}

#[test]
fn a_reload_says_what_changed_and_what_waits() {
    let before = parse("[page]\ntitle = \"A\"\n").expect("good");
    let now = parse("[page]\ntitle = \"B\"\n[log]\nformat = \"json\"\n[[folder]]\npath = \"x\"\n")
        .expect("good");
    let said: Vec<_> = changes(&before, &now)
        .iter()
        .map(Change::to_string)
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("folder: nothing → "), "{said:?}");
    assert_eq!(
        said[1],
        "log.format: \"auto\" → \"json\" (at the next restart)"
    );
    assert_eq!(said[2], "page.title: \"A\" → \"B\"");
    assert!(changes(&now, &now).is_empty());
}
