//! A whole process with telemetry: this test binary runs itself as a child and reads what it prints and sends.

use amrutam_kernel::TraceParent;
use amrutam_telemetry::{Telemetry, TelemetryError, TelemetrySettings, current_trace_parent, init, set_parent};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

const COLLECTOR: &str = "AMRUTAM_TEST_COLLECTOR";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Not a test of its own: what the child does.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(endpoint) = std::env::var(COLLECTOR) else { return };
    let settings = TelemetrySettings {
        log: "warn,chatty=off".into(),
        otlp_endpoint: Some(endpoint.parse().unwrap()),
        sample_ratio: 0.0,
    };
    let telemetry = init("child", &settings).unwrap();
    assert!(matches!(init("child", &settings), Err(TelemetryError::Twice)));
    let span = tracing::info_span!("request", correlation_id = "flow-1");
    set_parent(&span, &TraceParent(format!("00-{TRACE}-b7ad6b7169203331-01")));
    span.in_scope(|| {
        tracing::info!("below the level");
        tracing::warn!("above it");
        tracing::error!(target: "chatty", "off");
        assert!(current_trace_parent().unwrap().0.contains(TRACE));
    });
    drop(span);
    let _ = thread::spawn(|| panic!("two\nlines")).join();
    metrics::counter!("amrutam_test_total").increment(3);
    metrics::histogram!("amrutam_test_seconds").record(0.02);
    let scrape = telemetry.render();
    for line in ["amrutam_test_total 3", "amrutam_test_seconds_bucket{le=\"0.025\"} 1"] {
        assert!(scrape.lines().any(|l| l == line), "{scrape}");
    }
    assert!(scrape.contains("amrutam_build_info{version=\""), "{scrape}");
    assert!(scrape.contains("\nprocess_resident_memory_bytes "), "{scrape}");
    telemetry.shutdown().await;
}

#[test]
fn a_process_logs_lines_of_json_and_sends_its_traces() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let sent = thread::spawn(move || {
        let (mut socket, _) = collector.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        // The trace's id ends up in the body, after the head.
        let id: Vec<u8> = (0..16).map(|n| u8::from_str_radix(&TRACE[2 * n..2 * n + 2], 16).unwrap()).collect();
        while !bytes.windows(16).any(|window| window == id) {
            match socket.read(&mut buffer).unwrap() {
                0 => break,
                n => bytes.extend_from_slice(&buffer[..n]),
            }
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        bytes
    });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(COLLECTOR, endpoint)
        .output()
        .unwrap();
    let stdout = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&child.stderr));

    let lines: Vec<Value> =
        stdout.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{stdout}");
    assert_eq!(lines[0]["message"], "above it");
    assert_eq!(lines[0]["correlation_id"], "flow-1");
    assert_eq!(lines[0]["trace_id"], TRACE);
    assert_eq!(lines[1]["target"], "panic");
    assert!(lines[1]["message"].as_str().unwrap().contains("two\nlines"));

    // Nothing more will be sent; ends the wait for it.
    drop(TcpStream::connect(address));
    let request = sent.join().unwrap();
    let text = String::from_utf8_lossy(&request);
    assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("child") && text.contains("request"), "{text}");
}

#[tokio::test]
async fn metrics_alone_can_begin_twice() {
    let first = Telemetry::metrics_only().unwrap();
    metrics::counter!("amrutam_alone_total").increment(1);
    drop(first);
    let second = Telemetry::metrics_only().unwrap();
    assert!(second.render().contains("amrutam_alone_total 1"));
}

#[test]
fn telemetry_outside_of_a_runtime_is_an_error() {
    assert!(matches!(Telemetry::metrics_only(), Err(TelemetryError::NoRuntime)));
}
