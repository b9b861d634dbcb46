//! The veilbourse command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    veilbourse::main()
}
