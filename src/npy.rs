//! NumPy's `.npy` format: two-dimensional arrays of float32 or float16, read whole or row by row, and written as float32.
//!
//! It reads the format's versions 1.0, 2.0 and 3.0, both byte orders and both memory orders, and writes version 1.0,
//! little-endian and row-major. It opens no files. Source: `numpy.lib.format`
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! Invariant: memory grows with the bytes that are really there, not with the sizes that a header states.

use crate::matrix::Matrix;
use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The data begins at a multiple of this, as NumPy writes it.
const ALIGN: usize = 64;
/// NumPy itself refuses headers above 10,000 bytes.
const LONGEST_HEADER: u64 = 1 << 16;

/// Why bytes are not such an array.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// Reading failed, or the file ends within its header.
    #[error("I/O error: {0}")]
    Io(#[from] io::Error),
    /// The file does not begin like an `.npy` file.
    #[error("start does not match magic string")]
    Magic,
    /// A version of the format that does not exist yet.
    #[error("unknown version number: {0}.{1}")]
    Version(u8, u8),
    /// The description of the array cannot be understood.
    #[error("error parsing header: {0}")]
    Header(&'static str),
    /// The values are neither float32 nor float16.
    #[error("incorrect descriptor ({0}) for this type")]
    Type(String),
    /// The array has another number of dimensions than two.
    #[error("incorrect dimensions: expected 2, found {0}")]
    Dimensions(usize),
    /// The product of the dimensions does not fit into memory.
    #[error("overflow computing length from shape")]
    Length,
    /// Fewer values than the header states.
    #[error("reached EOF before reading all data")]
    Missing,
    /// It is stored column by column.
    #[error("the array is stored column by column; save numpy.ascontiguousarray of it")]
    Order,
    /// More bytes than the header states.
    #[error("file had extra bytes before EOF")]
    Extra,
}

/// An array that is read row by row.
pub struct Rows<R> {
    reader: R,
    shape: [usize; 2],
    value: Value,
    fortran: bool,
    left: usize,
    bytes: Vec<u8>,
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Value {
    Single(fn([u8; 4]) -> f32),
    Half(fn([u8; 2]) -> half::f16),
}

impl Value {
    fn width(self) -> usize {
        match self {
            Self::Single(_) => 4,
            Self::Half(_) => 2,
        }
    }

    fn append(self, bytes: &[u8], data: &mut Vec<f32>) {
        match self {
            Self::Single(of) => data.extend(bytes.as_chunks::<4>().0.iter().map(|&four| of(four))),
            Self::Half(of) => {
                let two = bytes.as_chunks::<2>().0.iter();
                data.extend(two.map(|&two| of(two).to_f32()));
            }
        }
    }
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    pub fn open(mut reader: R) -> Result<Self, NpyError> {
        let mut start = [0; 8];
        reader.read_exact(&mut start)?;
        if &start[..6] != MAGIC {
            return Err(NpyError::Magic);
        }
        let length = match (start[6], start[7]) {
            (1, 0) => u64::from(u16::from_le_bytes(array(&mut reader)?)),
            (2 | 3, 0) => u64::from(u32::from_le_bytes(array(&mut reader)?)),
            (major, minor) => return Err(NpyError::Version(major, minor)),
        };
        if length > LONGEST_HEADER {
            return Err(NpyError::Header("it is too long"));
        }
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header)?;
        let header =
            std::str::from_utf8(&header).map_err(|_| NpyError::Header("it is no UTF-8 text"))?;
        let header = Header::parse(header)?;
        let value = match header.descr.as_str() {
            "<f4" => Value::Single(f32::from_le_bytes),
            ">f4" => Value::Single(f32::from_be_bytes),
            "<f2" => Value::Half(half::f16::from_le_bytes),
            ">f2" => Value::Half(half::f16::from_be_bytes),
            _ => return Err(NpyError::Type(header.descr)),
        };
        let &[rows, dims] = header.shape.as_slice() else {
            return Err(NpyError::Dimensions(header.shape.len()));
        };
        let bytes = rows.checked_mul(dims).and_then(|n| n.checked_mul(4));
        bytes.ok_or(NpyError::Length)?;
        Ok(Self {
            reader,
            shape: [rows, dims],
            value,
            fortran: header.fortran,
            left: rows,
            bytes: Vec::new(),
        })
    }

    /// Rows and columns that the header states.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The next row, `D` values; `None` after the last one, when the file ends there too. The rows of an array that is
    /// stored column by column cannot be read one by one.
    pub fn next_row(&mut self) -> Result<Option<Vec<f32>>, NpyError> {
        if self.fortran && self.shape[0] > 1 {
            return Err(NpyError::Order);
        }
        if self.left == 0 {
            return self.end().map(|()| None);
        }
        self.left -= 1;
        let mut row = Vec::new();
        self.read(self.shape[1], &mut row)?;
        Ok(Some(row))
    }

    /// Appends so many values.
    fn read(&mut self, values: usize, data: &mut Vec<f32>) -> Result<(), NpyError> {
        let mut left = values * self.value.width();
        while left > 0 {
            self.bytes.resize(left.min(1 << 16), 0);
            self.reader
                .read_exact(&mut self.bytes)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => NpyError::Missing,
                    _ => error.into(),
                })?;
            self.value.append(&self.bytes, data);
            left -= self.bytes.len();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), NpyError> {
        match self.reader.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(NpyError::Extra),
        }
    }
}

/// Reads an array of `N × D` values. An array without columns gives a matrix without rows; `[N, D]` is the shape that
/// the file states.
pub fn read(reader: impl Read) -> Result<([usize; 2], Matrix), NpyError> {
    let mut all = Rows::open(reader)?;
    let [rows, dims] = all.shape;
    let mut data = Vec::new();
    all.read(rows * dims, &mut data)?;
    all.end()?;
    if all.fortran {
        data = transposed(&data, rows);
    }
    let matrix = Matrix::from_data(data, dims).ok_or(NpyError::Length)?;
    Ok(([rows, dims], matrix))
}

/// The beginning of a file of `rows` rows of `dims` values, float32, little-endian and row-major, which follow it.
pub fn header([rows, dims]: [usize; 2]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dims}), }}");
    let before = MAGIC.len() + 4;
    let padded = (before + header.len() + 1).next_multiple_of(ALIGN);
    header.extend(std::iter::repeat_n(' ', padded - before - header.len() - 1));
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0][..], &length, header.as_bytes()].concat()
}

/// Writes `rows` rows of `dims` values each. The caller passes exactly that many.
pub fn write<'a>(
    mut writer: impl Write,
    [rows, dims]: [usize; 2],
    values: impl IntoIterator<Item = &'a [f32]>,
) -> io::Result<()> {
    writer.write_all(&header([rows, dims]))?;
    for row in values {
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write_all(&bytes)?;
    }
    writer.flush()
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Column-major values in row-major order.
fn transposed(data: &[f32], rows: usize) -> Vec<f32> {
    let columns = || data.chunks_exact(rows.max(1));
    (0..rows)
        .flat_map(|row| columns().map(move |column| column[row]))
        .collect()
}

/// The description of an array: a Python dictionary with exactly three keys.
#[derive(Default)]
struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, NpyError> {
        let text = text.strip_suffix('\n');
        let mut text = Text(text.ok_or(NpyError::Header("newline missing at its end"))?);
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        text.expect('{')?;
        while !text.accept('}') {
            let key = text.string()?;
            text.expect(':')?;
            match key {
                "descr" if text.next() == Some('[') => {
                    return Err(NpyError::Type("a structured type".to_owned()));
                }
                "descr" => descr = Some(text.string()?.to_owned()),
                "fortran_order" => fortran = Some(text.truth()?),
                "shape" => shape = Some(text.tuple()?),
                _ => return Err(NpyError::Header("unknown key")),
            }
            if !text.accept(',') {
                text.expect('}')?;
                break;
            }
        }
        match (descr, fortran, shape, text.next()) {
            (Some(descr), Some(fortran), Some(shape), None) => Ok(Self {
                descr,
                fortran,
                shape,
            }),
            (_, _, _, Some(_)) => Err(NpyError::Header("text after the dictionary")),
            _ => Err(NpyError::Header("missing key")),
        }
    }
}

/// What is left of a header; white space between its parts means nothing.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn next(&mut self) -> Option<char> {
        self.0 = self.0.trim_ascii_start();
        self.0.chars().next()
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.next() == Some(wanted);
        if found {
            self.0 = &self.0[wanted.len_utf8()..];
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), NpyError> {
        match self.accept(wanted) {
            true => Ok(()),
            false => Err(NpyError::Header(
                "it is no dictionary of descr, fortran_order and shape",
            )),
        }
    }

    /// A string in single or double quotes, without escapes.
    fn string(&mut self) -> Result<&'a str, NpyError> {
        let wrong = || NpyError::Header("a string was expected");
        let quote = self.next().filter(|c| "'\"".contains(*c));
        let (text, rest) = quote
            .and_then(|quote| self.0[1..].split_once(quote))
            .ok_or_else(wrong)?;
        self.0 = rest;
        Ok(text)
    }

    fn truth(&mut self) -> Result<bool, NpyError> {
        self.next();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(NpyError::Header("illegal value for key fortran_order"))
    }

    /// A tuple of lengths; Python 2 wrote `5L`.
    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        let wrong = || NpyError::Header("illegal value for key shape");
        let mut lengths = Vec::new();
        self.expect('(').map_err(|_| wrong())?;
        while !self.accept(')') {
            self.next();
            let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
            lengths.push(self.0[..digits].parse().map_err(|_| wrong())?);
            self.0 = &self.0[digits..];
            self.accept('L');
            if !self.accept(',') {
                self.expect(')').map_err(|_| wrong())?;
                break;
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        [&bytes[..], header.as_bytes(), data].concat()
    }

    fn values(bytes: fn(f32) -> [u8; 4]) -> Vec<u8> {
        (1..=6).flat_map(|i| bytes(i as f32)).collect()
    }

    #[test]
    fn what_is_written_is_read_and_is_aligned_as_numpy_aligns_it() {
        for shape in [[2, 3], [0, 3], [1, 1], [123_456, 0]] {
            let data: Vec<f32> = (0..shape[0] * shape[1]).map(|i| i as f32 - 0.5).collect();
            let mut bytes = Vec::new();
            write(&mut bytes, shape, data.chunks(shape[1].max(1))).expect("written");
            assert_eq!((bytes.len() - data.len() * 4) % ALIGN, 0);
            let (read_shape, matrix) = read(&bytes[..]).expect("read");
            assert_eq!((read_shape, matrix.data()), (shape, &data[..]));
        }
    }

    #[test]
    fn every_version_byte_order_and_memory_order_is_read() {
        let c = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n";
        let big = "{\"shape\":(2L,3L),\"descr\":\">f4\",\"fortran_order\":False}\n";
        let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n";
        for version in 1..=3 {
            for (header, bytes, wanted) in [
                (c, values(f32::to_le_bytes), [1., 2., 3., 4., 5., 6.]),
                (big, values(f32::to_be_bytes), [1., 2., 3., 4., 5., 6.]),
                (fortran, values(f32::to_le_bytes), [1., 3., 5., 2., 4., 6.]),
            ] {
                let (shape, matrix) = read(&file(version, header, &bytes)[..]).expect("read");
                assert_eq!((shape, matrix.data()), ([2, 3], &wanted[..]));
            }
        }
    }

    #[test]
    fn halves_are_read_and_rows_come_one_by_one() {
        let header = |order: &str, fortran: &str| {
            format!("{{'descr': '{order}f2', 'fortran_order': {fortran}, 'shape': (3, 2), }}\n")
        };
        let numbers = [1.0f32, -0.5, 65504.0, 0.25, 6.1035156e-5, 0.0];
        let halves = |bytes: fn(half::f16) -> [u8; 2]| -> Vec<u8> {
            let halves = numbers.iter().map(|&number| half::f16::from_f32(number));
            halves.flat_map(bytes).collect()
        };
        for (order, data) in [
            ("<", halves(half::f16::to_le_bytes)),
            (">", halves(half::f16::to_be_bytes)),
        ] {
            let bytes = file(1, &header(order, "False"), &data);
            let (shape, matrix) = read(&bytes[..]).expect("read");
            assert_eq!((shape, matrix.data()), ([3, 2], &numbers[..]));
            let mut rows = Rows::open(&bytes[..]).expect("opened");
            for wanted in numbers.chunks(2) {
                let row = rows.next_row().expect("read").expect("there");
                assert_eq!(row, wanted);
            }
            assert!(rows.next_row().expect("read").is_none());
            let mut cut = Rows::open(&bytes[..bytes.len() - 1]).expect("opened");
            let read: Vec<_> = (0..3).map(|_| cut.next_row().is_ok()).collect();
            assert_eq!(read, [true, true, false]);
            let long = [&bytes[..], b"x"].concat();
            let mut long = Rows::open(&long[..]).expect("opened");
            let read: Vec<_> = (0..4).map(|_| long.next_row().is_ok()).collect();
            assert_eq!(read, [true, true, true, false]);
            let columns = file(1, &header(order, "True"), &data);
            let mut columns = Rows::open(&columns[..]).expect("opened");
            assert!(matches!(columns.next_row(), Err(NpyError::Order)));
        }
    }

    #[test]
    fn every_other_file_is_refused_with_its_reason() {
        let data = values(f32::to_le_bytes);
        let with = |descr: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")
        };
        let good = with("'<f4'", "(2, 3)");
        for (header, wanted) in [
            (with("'<f8'", "(2, 3)"), "descriptor (<f8)"),
            (with("[('a', '<f4')]", "(6,)"), "structured"),
            (with("'<f4'", "(6,)"), "expected 2, found 1"),
            (with("'<f4'", "()"), "expected 2, found 0"),
            (with("'<f4'", "(1, 2, 3)"), "expected 2, found 3"),
            (with("'<f4'", "(2, 4)"), "before reading all"),
            (with("'<f4'", "(2, 2)"), "extra"),
            (with("'<f4'", "(9223372036854775807, 2)"), "overflow"),
            (with("'<f4'", "(99999999999, 2)"), "before reading all"),
            (with("'<f4'", "(99999999999999999999, 2)"), "shape"),
            (with("'<f4'", "(-1, 2)"), "shape"),
            (with("'<f4", "(2, 3)"), "dictionary"),
            (good.replace("False", "0"), "fortran_order"),
            (good.replace("descr", "dtype"), "unknown key"),
            (good.replace("'descr': '<f4', ", ""), "missing key"),
            (good.replace('}', "} {"), "after the dictionary"),
            (good.trim_end().to_owned(), "newline"),
            ("é".repeat(3), "newline"),
            ("\n".to_owned(), "dictionary"),
        ] {
            let error = read(&file(1, &header, &data)[..]).expect_err(&header);
            assert!(error.to_string().contains(wanted), "{header}: {error}");
        }
        let whole = file(1, &good, &data);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(read(&b"GIF89a.."[..]), Err(NpyError::Magic)));
        let next = read(&file(4, &good, &data)[..]);
        assert!(matches!(next, Err(NpyError::Version(4, 0))));
        let long = [&MAGIC[..], &[2, 0, 0xFF, 0xFF, 0xFF, 0xFF]].concat();
        assert!(matches!(read(&long[..]), Err(NpyError::Header(_))));
    }
}
