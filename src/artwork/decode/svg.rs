//! SVG, drawn by `resvg` at a fixed size.
//!
//! An owner can rely on this: nothing outside the file is opened (neither files nor addresses), scripts never run,
//! pictures within the file have the same limits as files, and a drawing has limits of its own on its size, its
//! elements and its depth. Text is not drawn, because it would look different with the fonts of every machine; a
//! drawing with text is refused with advice. Source: SVG 1.1; resvg's documentation.

use super::{DecodeError, DecodeLimits, Raster, check_size};
use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{ImageHrefResolver, ImageKind, Options, Tree, roxmltree},
};

/// Longest side of the drawing, pixels.
pub(super) const SIDE: u32 = 2048;
/// Most bytes of markup; larger files are data, not drawings.
const MAX_BYTES: usize = 16 << 20;
/// Most elements, and most copies of elements that references make of them.
const MAX_ELEMENTS: usize = 100_000;
/// Most filters: each takes several pictures' time and memory.
const MAX_FILTERS: usize = 32;

const FORMAT: &str = "SVG";

fn unsupported(what: &'static str) -> DecodeError {
    DecodeError::UnsupportedVariant {
        format: FORMAT,
        what: what.into(),
    }
}

fn damaged(what: &'static str) -> DecodeError {
    DecodeError::Damaged {
        format: FORMAT,
        what,
    }
}

/// Draws the file.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Raster, DecodeError> {
    if bytes.len() > MAX_BYTES {
        return Err(unsupported("more than 16 MB of drawing"));
    }
    let text = text(bytes)?;
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        nodes_limit: 4 * MAX_ELEMENTS as u32,
        ..Default::default()
    };
    let document = roxmltree::Document::parse_with_options(&text, options).map_err(|error| {
        // An upload under way ends in the middle.
        let ends = matches!(
            error,
            roxmltree::Error::UnexpectedEndOfStream | roxmltree::Error::UnclosedRootNode
        );
        match error {
            _ if ends => DecodeError::Truncated { format: FORMAT },
            roxmltree::Error::NodesLimitReached => unsupported("more than 100,000 elements"),
            _ => damaged("its markup is wrong"),
        }
    })?;
    check(&document)?;
    let options = options_for(limits);
    let tree = Tree::from_xmltree(&document, &options).map_err(|_| damaged("it is no drawing"))?;
    let size = tree.size();
    let scale = SIDE as f32 / size.width().max(size.height());
    let side = |length: f32| ((length * scale).round() as u32).clamp(1, SIDE);
    let (width, height) = (side(size.width()), side(size.height()));
    check_size(
        width,
        height,
        4 * u64::from(width) * u64::from(height),
        limits,
    )?;
    let mut pixmap = Pixmap::new(width, height).ok_or_else(|| damaged("it is no drawing"))?;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixmap.as_mut(),
    );
    let mut raster = Raster::new(width, height, limits);
    raster.take_all(pixmap.take_demultiplied());
    Ok(raster)
}

/// UTF-8, whatever the byte order mark says.
fn text(bytes: &[u8]) -> Result<String, DecodeError> {
    let wide = |bytes: &[u8], word: fn([u8; 2]) -> u16| {
        let words: Vec<u16> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&two| word(two))
            .collect();
        String::from_utf16(&words).map_err(|_| damaged("its text cannot be read"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            match std::str::from_utf8(text) {
                Ok(text) => Ok(text.to_owned()),
                // Older programs wrote Latin-1.
                Err(_) => Ok(text.iter().map(|&byte| char::from(byte)).collect()),
            }
        }
    }
}

/// Refuses what would be drawn wrong, or would take too long.
fn check(document: &roxmltree::Document) -> Result<(), DecodeError> {
    let mut filters = 0;
    let elements = || document.descendants().filter(|node| node.is_element());
    for node in elements() {
        match node.tag_name().name() {
            "text"
                if node
                    .descendants()
                    .any(|n| n.text().is_some_and(|t| !t.trim().is_empty())) =>
            {
                return Err(unsupported("text (convert it to paths)"));
            }
            "foreignObject" => return Err(unsupported("HTML within it")),
            "filter" => filters += 1,
            _ => {}
        }
    }
    if filters > MAX_FILTERS {
        return Err(unsupported("more than 32 filters"));
    }
    // References to references multiply: each `use` counts as all that it shows.
    let mut sizes = std::collections::HashMap::new();
    let all = copies(document, document.root_element(), &mut sizes, 0);
    match all {
        Some(all) if all <= MAX_ELEMENTS => Ok(()),
        _ => Err(unsupported("more than 100,000 elements")),
    }
}

/// How many elements are drawn for `node`; `None` for too many, or for references in a circle.
fn copies<'a>(
    document: &'a roxmltree::Document,
    node: roxmltree::Node<'a, 'a>,
    sizes: &mut std::collections::HashMap<&'a str, Option<usize>>,
    depth: usize,
) -> Option<usize> {
    const DEEPEST: usize = 256;
    if depth > DEEPEST {
        return None;
    }
    let mut sum = 1_usize;
    // `href` is what `use`, patterns, masks and gradients name others by.
    for attribute in node.attributes() {
        let value = attribute.value();
        let named = match attribute.name() {
            "href" => value.strip_prefix('#'),
            _ => value
                .strip_prefix("url(#")
                .and_then(|rest| rest.split(')').next()),
        };
        let Some(id) = named else { continue };
        if let Some(known) = sizes.get(id) {
            sum = sum.checked_add((*known)?)?;
            continue;
        }
        let target = document
            .descendants()
            .find(|node| node.attribute("id") == Some(id));
        let Some(target) = target else { continue };
        let id = target.attribute("id").unwrap_or_default();
        // Until it is known, a reference back to it is a circle.
        sizes.insert(id, None);
        let size = copies(document, target, sizes, depth + 1)?;
        sizes.insert(id, Some(size));
        sum = sum.checked_add(size)?;
    }
    for child in node.children().filter(|child| child.is_element()) {
        sum = sum.checked_add(copies(document, child, sizes, depth + 1)?)?;
        if sum > MAX_ELEMENTS {
            return None;
        }
    }
    Some(sum)
}

/// Only pictures that the file itself holds, and only such as pass the limits.
fn options_for(limits: &DecodeLimits) -> Options<'static> {
    let limits = *limits;
    let resolver = ImageHrefResolver {
        resolve_data: Box::new(move |_, data, _| {
            let format = super::sniff::sniff(&data).ok()?;
            let size = match format {
                super::Format::Png => super::png::size(&data)?,
                super::Format::Jpeg => super::jpeg::size(&data, &limits)?.0,
                super::Format::Gif => super::plain::size(&data, image::ImageFormat::Gif)?,
                super::Format::WebP => super::plain::size(&data, image::ImageFormat::WebP)?,
                _ => return None,
            };
            // The whole drawing shares the limit; a quarter of it is much for one picture within.
            let within = DecodeLimits {
                max_pixels: limits.max_pixels / 4,
                ..limits
            };
            check_size(size.0, size.1, 0, &within).ok()?;
            Some(match format {
                super::Format::Png => ImageKind::PNG(data),
                super::Format::Jpeg => ImageKind::JPEG(data),
                super::Format::Gif => ImageKind::GIF(data),
                _ => ImageKind::WEBP(data),
            })
        }),
        resolve_string: Box::new(|_, _| None),
    };
    Options {
        image_href_resolver: resolver,
        ..Options::default()
    }
}
