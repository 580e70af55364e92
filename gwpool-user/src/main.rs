//! `gwpool-user`: see `gwpool-user --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    gwpool_user::cli::main()
}
