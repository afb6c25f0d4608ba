//! A disk without room: new tasks are refused with the reason, nothing that was accepted is
//! lost, `/ready` says so, and all goes on by itself once there is room.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use mandate_tests::audit::{Audit, settled};
use mandate_tests::host::DataDir;
use mandate_tests::{Client, Do, Host, Options, Text, agent};
use reqwest::Method;
use serde_json::{Value, json};
use std::ffi::CString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A small disk of its own, gone with the test.
struct Disk(tempfile::TempDir);

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

impl Disk {
    /// `None`, and why on standard error, where this process may not mount.
    fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::Builder::new()
            .prefix("mandate-disk-")
            .tempdir()
            .unwrap();
        let size = CString::new(format!("size={mebibytes}m,mode=700")).unwrap();
        // SAFETY: all pointers are to strings that live through the call.
        let mounted = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                c_path(dir.path()).as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                size.as_ptr().cast(),
            )
        };
        if mounted != 0 {
            let why = std::io::Error::last_os_error();
            eprintln!("skipped: a small disk cannot be mounted ({why}); this test needs root");
            return None;
        }
        Some(Self(dir))
    }

    fn data(&self) -> PathBuf {
        let data = self.0.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        data
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.0.path().join("filler"))
            .unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![1_u8; size];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // SAFETY: as in `mount`. Whoever still has files open there keeps them until it ends.
        unsafe { libc::umount2(c_path(self.0.path()).as_ptr(), libc::MNT_DETACH) };
    }
}

/// Writes records over a while, with room for a full disk between them.
fn writer() -> mandate_tests::Plugin {
    let create = Do::Create {
        collection: "pages".into(),
        id: None,
        body: Text::Input,
    };
    agent("writer")
        .manifest("[capabilities.records]\nwrite = [\"pages\"]\n[records.pages]\nid = \"N-{12}\"\nschema = { type = \"object\" }\n")
        .does([create.clone(), Do::Sleep(400), create.clone(), Do::Sleep(400), create])
}

async fn submit(client: &Client, n: u64) -> mandate_tests::Answer {
    let task = json!({"kind": "writer", "input": {"n": n, "page": "x".repeat(2_000)}});
    client.post("/api/v1/tasks", &task).await
}

async fn ready(client: &Client, status: u16) -> Value {
    client
        .until(|| async {
            let answer = client.get("/ready").await;
            (answer.status == status).then(|| answer.json())
        })
        .await
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_and_loses_nothing() {
    let Some(disk) = Disk::mount(24) else { return };
    let options = Options::default();
    let host = Host::over(DataDir::at(&disk.data()), &options);
    let client = host.admin();
    client.install(writer().file()).await;
    ready(&client, 200).await;

    // Some run, some wait, and then there is no room.
    let mut accepted = Vec::new();
    for n in 0..100 {
        accepted.push(
            submit(&client, n).await.expect(202)["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    client.reaches(&accepted[0], "running").await;
    disk.fill();
    let mut n = 100;
    let problem = loop {
        let answer = submit(&client, n).await;
        n += 1;
        assert!(
            n < 20_000,
            "the disk is full, and the host goes on accepting"
        );
        if answer.status != 202 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            break answer.expect(507);
        }
        accepted.push(answer.json()["id"].as_str().unwrap().to_owned());
    };
    assert_eq!(problem["status"], 507, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("full"),
        "{problem}"
    );
    let problem = ready(&client, 503).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("full") && detail.contains("nothing is lost"),
        "{problem}"
    );
    assert_eq!(problem["checks"]["store"]["ok"], false, "{problem}");
    // It lives, and can be read.
    client.get("/health").await.expect(200);
    for id in accepted.iter().take(10) {
        assert_eq!(client.task(id).await["id"], id.as_str());
    }
    assert!(!client.items("/api/v1/tasks?limit=5").await.is_empty());
    // Other changes are refused with the same reason, whole.
    let path = "/api/v1/records/pages?id=N-client";
    client
        .post(path, &json!({"page": "y".repeat(100_000)}))
        .await
        .expect(507);
    client
        .get("/api/v1/records/pages/N-client")
        .await
        .expect(404);

    // What cannot be written is not done: the caller hears that, and the task goes on.
    for id in [&accepted[0], &accepted[99]] {
        let path = format!("/api/v1/tasks/{id}/cancel");
        let answer = client.send(client.request(Method::POST, &path)).await;
        assert!(matches!(answer.status, 409 | 507), "{}", answer.text);
    }

    // Long enough for all that ran to have come to a write that failed.
    let stuck = |line: &str| line.contains("goes on later").then_some(());
    host.logged(stuck)
        .expect("an execution is told to have stopped for want of room");

    disk.free();
    ready(&client, 200).await;
    let more = submit(&client, n).await.expect(202);
    accepted.push(more["id"].as_str().unwrap().to_owned());
    let tasks = settled(&client, Duration::from_secs(60)).await;
    check(&client, &tasks, &accepted).await;
}

/// Nobody frees the disk before the host is started again, and then it starts all the same.
#[tokio::test]
async fn a_host_that_died_on_a_full_disk_starts_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::mount(24) else { return };
    let options = Options::default();
    let host = Host::over(DataDir::at(&disk.data()), &options);
    let client = host.admin();
    client.install(writer().file()).await;
    let mut accepted = Vec::new();
    for n in 0..40 {
        accepted.push(
            submit(&client, n).await.expect(202)["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    client.reaches(&accepted[0], "running").await;
    disk.fill();
    while submit(&client, 1_000 + accepted.len() as u64).await.status == 202 {
        // More that was accepted is found below, among all tasks.
    }
    let host = Host::over(host.kill(), &options);
    let client = host.admin();
    ready(&client, 503).await;
    submit(&client, 0).await.expect(507);
    for id in &accepted {
        client.task(id).await;
    }
    disk.free();
    ready(&client, 200).await;
    let tasks = settled(&client, Duration::from_secs(60)).await;
    let all: Vec<String> = tasks
        .iter()
        .map(|task| task["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(accepted.iter().all(|id| all.contains(id)));
    check(&client, &tasks, &all).await;
}

/// Each task there is one that was accepted, and wrote its three records once.
async fn check(client: &Client, tasks: &[Value], accepted: &[String]) {
    assert_eq!(tasks.len(), accepted.len());
    let audit = Audit::read(client, &["pages"]).await;
    for id in accepted {
        assert!(audit.tasks.contains_key(id), "{id} is lost");
    }
    audit.check();
    assert_eq!(audit.records.len(), 3 * accepted.len());
}
