//! Receipt verification shared by the two binaries.
