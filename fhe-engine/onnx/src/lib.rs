//! ONNX models to layered programs (rules PRG-13, PRG-14 of
//! docs/spec/programs.md).
//!
//! [`Graph::read`] reads and checks a file of skl2onnx, PyTorch or tf2onnx;
//! [`Graph::evaluate`] evaluates it in floats; [`Graph::model`] finds its one
//! score; [`model::Model::quantise`] makes a program of it for a dataset;
//! [`report::accuracy`] says what that costs.
mod attributes;
mod builder;
pub mod constant;
pub mod error;
pub mod evaluate;
mod forest;
pub mod gate;
pub mod graph;
mod lower;
pub mod model;
mod network;
pub mod ops;
pub mod proto;
pub mod quantise;
pub mod report;
pub mod trees;

pub use error::{OnnxError, Place};
pub use graph::Graph;
pub use lower::MAX_UNITS;
pub use quantise::{Reveal, Settings, Target};
