//! The real program in a folder of its own.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use etherparse::PacketBuilder;
use serde_json::Value;

/// A folder with configuration and logs in it.
pub struct Folder {
    pub dir: tempfile::TempDir,
}

/// What a call of the program came to.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file that its owner alone can read.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.write_with_mode(name, text, 0o600)
    }

    pub fn write_with_mode(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Runs the program in this folder, which is also its HOME.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with_input(arguments, b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        ended(self.command(arguments), input)
    }

    /// Where other programs are found in this path only.
    pub fn run_with_path(&self, arguments: &[&str], path: &str) -> Ended {
        let mut command = self.command(arguments);
        command.env("PATH", path);
        ended(command, b"")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knockdaemon"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("HOME", self.dir.path())
            .env_remove("JOURNAL_STREAM");
        command
    }
}

fn ended(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // The program may end without having read it all.
        let _closed = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The classic knock of 10.0.0.1 with port 22 and time 15 under the key `knock`, as an independent
/// implementation computes it.
pub const KNOCK: [u16; 8] = [986, 845, 946, 789, 809, 954, 930, 803];

/// A kernel line for a SYN of this client at this port.
pub fn line(client: &str, port: u16, source_port: u16) -> String {
    format!(
        "Nov 21 03:22:42 vm kernel: portknock IN=eth0 OUT= MAC=1e:42:60:96:4a:1f:8a:92:9e:a6:fb:e3:08:00 \
         SRC={client} DST=203.0.113.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=58454 DF PROTO=TCP \
         SPT={source_port} DPT={port} WINDOW=64240 RES=0x00 SYN URGP=0 \n"
    )
}

/// The log of one whole knock.
pub fn knock_log() -> String {
    (40_000..).zip(KNOCK).map(|(source, port)| line("10.0.0.1", port, source)).collect()
}

/// A SYN of the classic knock's client to this address.
pub fn syn(to: [u8; 4], from_port: u16, port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], to, 64)
        .tcp(from_port, port, 1000, 64_240)
        .syn()
        .write(&mut bytes, &[])
        .unwrap();
    bytes
}

/// A `.pcap` file of Ethernet frames, one every ten seconds.
pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_be_bytes());
    file.extend([2u16, 4].into_iter().flat_map(u16::to_be_bytes));
    file.extend([0u32, 0, 65_535, 1].into_iter().flat_map(u32::to_be_bytes));
    for (second, frame) in (1_700_000_000u32..).step_by(10).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        file.extend([second, 0, length, length].into_iter().flat_map(u32::to_be_bytes));
        file.extend(frame);
    }
    file
}

/// The objects of `--json`, one a line.
pub fn events(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A configuration with the classic actions.
pub const CONFIG: &str = "\
logfile = /var/log/messages
key     = knock
<actions>
  <action>
    condition = PORT == 22 && TIME != 255
    template  = open
    use       = yes
  </action>
  <action>
    condition = PORT == 22 && TIME > 0 && TIME < 255
    template  = close
    delay     = TIME
    use       = yes
  </action>
  <template open>
    system = \"/sbin/iptables -I INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT\"
  </template>
  <template close>
    system = \"/sbin/iptables -D INPUT -p tcp -s IP/32 --dport PORT --syn -j ACCEPT\"
  </template>
</actions>
";
