//! The same rows with nftables masquerade in gwpool's place: what Linux is known to break is broken, what it keeps is
//! kept. A suite that were blind to a row would fail here.

use gwpool_harness::net::nat::subject::Subject;
use gwpool_harness::net::nat::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main(&[Subject::Nftables])
}
