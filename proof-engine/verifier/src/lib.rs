//! Transcript, commitments, typed statements, the proof envelope, FRI and Marlin verifiers, security accounting.
