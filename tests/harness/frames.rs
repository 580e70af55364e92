//! Frames as text and as bytes: `tcp 10.9.0.100:40000 > 10.9.0.1:30080 S seq=100` with every checksum right.
//!
//! What a case does not say is given: payload counts up, identification is 1, "don't fragment" is not set. Ethernet
//! addresses follow from the IP address ([`mac`]); whoever expects another one sets it ([`Frame::via`]).

use anyhow::{Context, Result, bail, ensure};
use std::net::Ipv4Addr;

/// The Ethernet address of a host in these tests.
pub fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0, a, b, c, d]
}

/// A frame to be built.
#[derive(Clone, Debug)]
pub struct Frame {
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
    macs: ([u8; 6], [u8; 6]),
    protocol: u8,
    /// ICMP's type.
    kind: u8,
    flags: u8,
    settings: Vec<(String, u32)>,
    raw: Option<Vec<u8>>,
    /// An ICMP error: type, code, and the packet it quotes.
    error: Option<(u8, u8, Box<Frame>)>,
}

/// What a frame's text may set, with what it is otherwise.
const SETTINGS: [(&str, u32); 20] = [
    ("protocol", 47),
    ("seq", 1),
    ("ack", 0),
    ("ttl", 64),
    ("tos", 0),
    ("id", 1),
    ("len", 0),
    ("frag", 0),
    ("window", 65535),
    ("options", 0),
    ("tcpoptions", 0),
    ("nosum", 0),
    ("total", 0),
    ("ihl", 0),
    ("pad", 0),
    ("cut", 0),
    ("mtu", 0),
    ("quote", 28),
    ("from", 0),
    ("to", 0),
];

impl Frame {
    /// Reads a frame's text.
    pub fn parse(text: &str) -> Result<Frame> {
        if let Some(error) = text.strip_prefix("error ") {
            return Frame::error(error);
        }
        let mut words = text.split_whitespace();
        let kind = words.next().context("wanted a frame, found nothing")?;
        if kind == "raw" {
            return Frame::raw(words.next().unwrap_or_default());
        }
        let (protocol, kind) = match kind {
            "tcp" => (6, 0),
            "udp" => (17, 0),
            "icmp" | "ping" => (1, 8),
            "pong" => (1, 0),
            "ip" => (0, 0),
            other => bail!("wanted tcp, udp, icmp, ping, pong, ip or raw, found {other:?}"),
        };
        let source = endpoint(words.next().unwrap_or_default())?;
        ensure!(
            words.next() == Some(">"),
            "wanted `SOURCE > DESTINATION` in {text:?}"
        );
        let destination = endpoint(words.next().unwrap_or_default())?;
        let kind_is_any = protocol == 0;
        let mut frame = Frame {
            source,
            destination,
            macs: (mac(destination.0), mac(source.0)),
            protocol,
            kind,
            flags: 0,
            settings: Vec::new(),
            raw: None,
            error: None,
        };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => frame.set(name, value)?,
                None => frame.flags = flags(word)?,
            }
        }
        if kind_is_any {
            frame.protocol = frame.get("protocol") as u8;
        }
        Ok(frame)
    }

    fn raw(hex: &str) -> Result<Frame> {
        let digits = |index| u8::from_str_radix(hex.get(index..index + 2).unwrap_or("?"), 16);
        let bytes = (0..hex.len())
            .step_by(2)
            .map(digits)
            .collect::<Result<Vec<u8>, _>>();
        let nobody = (Ipv4Addr::UNSPECIFIED, 0);
        Ok(Frame {
            source: nobody,
            destination: nobody,
            macs: ([0; 6], [0; 6]),
            protocol: 0,
            kind: 0,
            flags: 0,
            settings: Vec::new(),
            raw: Some(bytes.with_context(|| format!("wanted hex digits, found {hex:?}"))?),
            error: None,
        })
    }

    /// `TYPE/CODE SOURCE > DESTINATION [settings] quoting FRAME`.
    fn error(text: &str) -> Result<Frame> {
        let (outer, quoted) = text
            .split_once(" quoting ")
            .context("wanted `quoting FRAME`")?;
        let (kind, outer) = outer
            .split_once(' ')
            .context("wanted TYPE/CODE and addresses")?;
        let (kind, code) = kind.split_once('/').context("wanted TYPE/CODE")?;
        let mut frame = Frame::parse(&format!("icmp {outer}"))?;
        frame.error = Some((
            kind.parse()?,
            code.parse()?,
            Box::new(Frame::parse(quoted)?),
        ));
        Ok(frame)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if name == "part" {
            let (from, to) = value.split_once('-').context("wanted part=FROM-TO")?;
            self.set("from", from)?;
            return self.set("to", to);
        }
        let known = SETTINGS.iter().any(|(known, _)| *known == name);
        ensure!(known, "wanted one of {SETTINGS:?}, found {name:?}");
        let value = value
            .parse()
            .with_context(|| format!("{name}={value:?} is no number"))?;
        self.settings.push((name.to_owned(), value));
        Ok(())
    }

    /// Destination and source on the wire.
    pub fn via(mut self, destination: [u8; 6], source: [u8; 6]) -> Frame {
        self.macs = (destination, source);
        self
    }

    /// Where the packet goes.
    pub fn destination(&self) -> Ipv4Addr {
        self.destination.0
    }

    fn get(&self, name: &str) -> u32 {
        let set = self.settings.iter().rev().find(|(known, _)| known == name);
        let given = SETTINGS.iter().find(|(known, _)| *known == name);
        set.map(|(_, value)| *value)
            .or(given.map(|(_, value)| *value))
            .unwrap_or_default()
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let (transport, fragment) = self.part();
        let options = self.get("options") as usize * 4;
        let total = 20 + options + transport.len();
        let mut ip = vec![0x45 + (options / 4) as u8, self.get("tos") as u8];
        ip.extend(given(self.get("total"), total as u32).to_be_bytes());
        ip.extend((self.get("id") as u16).to_be_bytes());
        ip.extend(fragment.to_be_bytes());
        ip.extend([self.get("ttl") as u8, self.protocol, 0, 0]);
        ip.extend(self.source.0.octets());
        ip.extend(self.destination.0.octets());
        ip.extend(vec![1u8; options]); // RFC 791: no operation
        if self.get("ihl") != 0 {
            ip[0] = 0x40 | self.get("ihl") as u8;
        }
        let check = checksum(&ip);
        ip[10..12].copy_from_slice(&check.to_be_bytes());
        let mut frame = [self.macs.0, self.macs.1].concat();
        frame.extend([0x08, 0x00]);
        frame.extend(ip);
        frame.extend(transport);
        frame.extend(vec![0u8; self.get("pad") as usize]);
        if self.get("cut") != 0 {
            frame.truncate(self.get("cut") as usize);
        }
        frame
    }

    /// The bytes after the IP header, and the field that says which of the packet's they are (RFC 791 3.1).
    fn part(&self) -> (Vec<u8>, u16) {
        let mut bytes = self.transport();
        let (from, to) = (self.get("from") as usize, self.get("to") as usize);
        if to == 0 {
            return (bytes, self.get("frag") as u16);
        }
        let more = if to < bytes.len() { 0x2000 } else { 0 };
        bytes = bytes.drain(..to.min(bytes.len())).skip(from).collect();
        (bytes, (from / 8) as u16 | more)
    }

    fn transport(&self) -> Vec<u8> {
        if let Some((kind, code, quoted)) = &self.error {
            let mut bytes = vec![*kind, *code, 0, 0, 0, 0];
            bytes.extend((self.get("mtu") as u16).to_be_bytes());
            bytes.extend(
                quoted
                    .bytes()
                    .iter()
                    .skip(14)
                    .take(self.get("quote") as usize),
            );
            let check = checksum(&bytes);
            bytes[2..4].copy_from_slice(&check.to_be_bytes());
            return bytes;
        }
        let payload: Vec<u8> = (0..self.get("len")).map(|index| index as u8).collect();
        let mut bytes = Vec::new();
        if self.protocol == 1 {
            bytes.extend([self.kind, 0, 0, 0]);
            bytes.extend((self.source.1 | self.destination.1).to_be_bytes());
            bytes.extend([0, 1]);
            bytes.extend(&payload);
            let check = checksum(&bytes);
            bytes[2..4].copy_from_slice(&check.to_be_bytes());
            return bytes;
        }
        if self.protocol != 6 && self.protocol != 17 {
            return payload;
        }
        bytes.extend(self.source.1.to_be_bytes());
        bytes.extend(self.destination.1.to_be_bytes());
        let at = if self.protocol == 6 {
            let words = self.get("tcpoptions") as u8;
            bytes.extend(self.get("seq").to_be_bytes());
            bytes.extend(self.get("ack").to_be_bytes());
            bytes.extend([(5 + words) << 4, self.flags]);
            bytes.extend((self.get("window") as u16).to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(vec![1u8; words as usize * 4]);
            16
        } else {
            bytes.extend((8 + payload.len() as u16).to_be_bytes());
            bytes.extend([0, 0]);
            6
        };
        bytes.extend(&payload);
        if self.get("nosum") == 0 {
            let check = match self.pseudo_checksum(&bytes) {
                0 if self.protocol == 17 => 0xffff,
                check => check,
            };
            bytes[at..at + 2].copy_from_slice(&check.to_be_bytes());
        }
        bytes
    }

    fn pseudo_checksum(&self, segment: &[u8]) -> u16 {
        let mut bytes = [self.source.0.octets(), self.destination.0.octets()].concat();
        bytes.extend([0, self.protocol]);
        bytes.extend((segment.len() as u16).to_be_bytes());
        bytes.extend(segment);
        checksum(&bytes)
    }
}

fn given(set: u32, otherwise: u32) -> u16 {
    if set == 0 {
        otherwise as u16
    } else {
        set as u16
    }
}

/// The Internet checksum, computed anew: the arithmetic that the pipeline's is held against.
pub fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

fn endpoint(text: &str) -> Result<(Ipv4Addr, u16)> {
    let (address, port) = text.split_once(':').unwrap_or((text, "0"));
    let wanted = || format!("wanted ADDRESS:PORT, found {text:?}");
    Ok((
        address.parse().with_context(wanted)?,
        port.parse().with_context(wanted)?,
    ))
}

fn flags(text: &str) -> Result<u8> {
    text.chars().try_fold(0, |flags, letter| {
        Ok(flags
            | match letter {
                'F' => 0x01,
                'S' => 0x02,
                'R' => 0x04,
                'P' => 0x08,
                'A' => 0x10,
                other => bail!("wanted TCP flags of FSRPA, found {other:?}"),
            })
    })
}
