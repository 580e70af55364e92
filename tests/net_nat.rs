//! gwpool translates by the RFCs: the rows of the NAT checklist, in native XDP and at TC. The rows, and what runs them,
//! are in `harness/net/nat`.

use gwpool_harness::net::fabric::Datapath;
use gwpool_harness::net::nat::subject::Subject;
use gwpool_harness::net::nat::suite;
use std::process::ExitCode;

fn main() -> ExitCode {
    suite::main(&[Datapath::Native, Datapath::Tc].map(Subject::Gwpool))
}
