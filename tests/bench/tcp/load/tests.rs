//! What wrk and iperf3 print, as figures.

use super::*;

const WRK: &str = "\
Running 2s test @ http://10.77.1.1:80/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   662.32us  314.42us   7.85ms   88.41%
    Req/Sec    96.02k     8.10k  105.86k    80.00%
  Latency Distribution
     50%  605.00us
     75%  728.00us
     90%    0.94ms
     99%    1.82ms
  191034 requests in 2.00s, 38.26MB read
Requests/sec:  95483.21
Transfer/sec:     19.12MB
";

#[test]
fn wrk_is_read_in_microseconds() {
    let answers = Answers::read(WRK).expect("figures");
    let expected = Answers {
        count: 191_034.0,
        per_second: 95_483.21,
        p50_us: 605.0,
        p99_us: 1820.0,
    };
    assert_eq!(answers, expected);
    assert_eq!(microseconds("2.50s").ok(), Some(2_500_000.0));
    assert!(microseconds("fast").is_err());
}

#[test]
fn what_was_not_answered_well_is_no_figure() {
    let errors = "  Socket errors: connect 0, read 3, write 0, timeout 0\n";
    for trouble in [errors, "  Non-2xx or 3xx responses: 7\n"] {
        let why = Answers::read(&format!("{WRK}{trouble}")).expect_err("trouble");
        assert_eq!(why.to_string(), trouble.trim());
    }
    let none = WRK.replace("191034 requests", "0 requests");
    assert!(Answers::read(&none).is_err());
}

#[test]
fn iperf_is_read_by_what_was_received() {
    let said = r#"{"end": {"sum_sent": {"bytes": 9, "bits_per_second": 9},
        "sum_received": {"bytes": 2500000000, "bits_per_second": 10000000000.5}}}"#;
    let expected = Moved {
        bytes: 2.5e9,
        bits_per_second: 10_000_000_000.5,
    };
    assert_eq!(Moved::read(said).expect("figures"), expected);
    let why = Moved::read(r#"{"error": "unable to connect", "end": {}}"#).expect_err("an error");
    assert_eq!(why.to_string(), "unable to connect");
}

#[test]
fn the_machine_was_busy_with_something() {
    assert!(busy_us().expect("/proc/stat") > 0.0);
}
