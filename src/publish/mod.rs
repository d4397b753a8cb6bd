//! Publishing generations to the output folder.

pub mod manifest;
