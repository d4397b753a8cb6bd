//! The polish of the whole grid: it runs on its own thread, and a task takes over its result if nothing has changed
//! meanwhile.

use super::Pipeline;
use crate::{
    domain::Rebuilt,
    grid::{Grid, GridError, GridParams},
    matrix::Matrix,
    rebuild,
};

/// What a polish needs, apart from the pipeline.
#[derive(Clone, Debug)]
pub struct Polish {
    grid: Grid,
    features: Matrix,
    params: GridParams,
}

/// A grid before and after its polish.
#[derive(Clone, Debug)]
pub struct Polished {
    before: Grid,
    after: Grid,
}

impl Polish {
    /// Polishes; takes seconds.
    ///
    /// # Errors
    /// See [`Grid::polish`].
    pub fn run(self) -> Result<Polished, GridError> {
        let mut after = self.grid.clone();
        after.polish(&self.features, &self.params)?;
        Ok(Polished {
            before: self.grid,
            after,
        })
    }
}

impl Pipeline {
    /// What to polish, if enough has arrived since the last time.
    pub fn polish(&self) -> Option<Polish> {
        let (collection, params) = (&self.collection, self.params.grid);
        collection.grid.wants_polish(&params).then(|| Polish {
            grid: collection.grid.clone(),
            features: collection.features().clone(),
            params,
        })
    }

    /// Keeps a polished grid for [`Task::Polish`](crate::domain::Task).
    pub fn keep_polished(&mut self, polished: Polished) {
        self.polished = Some(polished);
    }

    /// Takes the polished grid over, unless works came or went meanwhile.
    pub(super) fn take_polished(&mut self) -> Rebuilt {
        let polished = self.polished.take();
        let Some(polished) = polished.filter(|p| p.before == self.collection.grid) else {
            return Rebuilt::default();
        };
        let rebuilt = rebuild::rearrange(&mut self.collection, polished.after);
        tracing::info!(moved = rebuilt.moved, "the grid is polished");
        self.unsaved = true;
        rebuilt
    }
}
