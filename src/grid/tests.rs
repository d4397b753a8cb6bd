//! Tests of the door: invariants under any sequence of operations, and the score against the reference.
use super::*;
use crate::matrix::Matrix;
use proptest::prelude::*;

#[test]
fn nothing_arranges_to_nothing() {
    let g = Grid::arrange(&Matrix::new(4), &[], &GridParams::default()).expect("no items are fine");
    assert_eq!((g.cols(), g.rows(), g.len()), (0, 0, 0));
    assert!(g.check().is_ok());
}
