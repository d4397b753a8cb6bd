//! A dense row-major matrix of `f32`: embeddings (`N × D`) and their projections (`N × 48`).
//!
//! It owns storage and row bookkeeping only; the mathematics lives in `reduce` and `grid`.
//! Invariant: `data.len()` is a multiple of `dims`, and `dims > 0` unless the matrix is empty.

/// `N × D` values, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    data: Vec<f32>,
    dims: usize,
}

impl Matrix {
    /// An empty matrix whose rows will have `dims` values.
    pub fn new(dims: usize) -> Self {
        Self {
            data: Vec::new(),
            dims,
        }
    }

    /// Takes row-major `data`; `None` if its length is not a multiple of `dims`.
    pub fn from_data(data: Vec<f32>, dims: usize) -> Option<Self> {
        let fits = if dims == 0 {
            data.is_empty()
        } else {
            data.len().is_multiple_of(dims)
        };
        fits.then_some(Self { data, dims })
    }

    /// Number of rows `N`.
    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.dims).unwrap_or(0)
    }

    /// Number of columns `D`.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// All values, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Row `i`, `D` values.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.data[i * self.dims..(i + 1) * self.dims]
    }

    /// Row `i`, mutable.
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.dims..(i + 1) * self.dims]
    }

    /// Appends a row. A row of another length is a bug of the caller and panics.
    pub fn push(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.dims, "a row has the matrix' dimensions");
        self.data.extend_from_slice(row);
    }

    /// Removes row `i`; the last row takes its place.
    pub fn swap_remove(&mut self, i: usize) {
        let last = self.rows() - 1;
        if i != last {
            let (head, tail) = self.data.split_at_mut(last * self.dims);
            head[i * self.dims..(i + 1) * self.dims].copy_from_slice(tail);
        }
        self.data.truncate(last * self.dims);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_remove_moves_the_last_row_into_the_gap() {
        let mut m =
            Matrix::from_data(vec![1., 2., 3., 4., 5., 6.], 2).expect("six values make three rows");
        m.swap_remove(0);
        assert_eq!(m.data(), &[5., 6., 3., 4.]);
        m.swap_remove(1);
        assert_eq!(m.data(), &[5., 6.]);
    }

    #[test]
    fn ragged_data_is_refused() {
        assert!(Matrix::from_data(vec![1., 2., 3.], 2).is_none());
        assert_eq!(Matrix::default().rows(), 0);
    }
}
