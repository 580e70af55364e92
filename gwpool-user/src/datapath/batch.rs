//! Many entries of a map in one system call, read or written: aya has no such call, so this is `bpf(2)` itself. And
//! one, where many were read by the same handle.
//!
//! Five to seven times faster than one call an entry. Entries that come or go during a walk may be missed or seen
//! twice. The only unsafe code of the daemon.

use aya::Pod;
use aya::maps::MapData;
use aya_obj::generated::{bpf_attr, bpf_cmd};
use std::io;
use std::marker::PhantomData;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Entries a call asks for, unless a bucket holds more.
const ENTRIES: usize = 4096;

/// A hash map or an array to walk.
#[derive(Debug)]
pub struct Table<K, V> {
    fd: OwnedFd,
    entry: PhantomData<fn() -> (K, V)>,
}

/// A walk through a table, slice by slice in the same two buffers.
#[derive(Debug)]
pub struct Walk<'a, K, V> {
    table: &'a Table<K, V>,
    cursor: Option<u32>,
    keys: Vec<K>,
    values: Vec<V>,
    over: bool,
}

/// Keys and their values, side by side.
pub type Slice<'a, K, V> = (&'a [K], &'a [V]);

impl<K: Pod + Default, V: Pod + Default> Table<K, V> {
    /// Another handle of the same map.
    pub fn of(map: &MapData) -> io::Result<Self> {
        let info = map.info().map_err(io::Error::other)?;
        // The kernel writes whole keys and values: they must be what the buffers below are made of.
        if info.key_size() as usize != size_of::<K>()
            || info.value_size() as usize != size_of::<V>()
        {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(Table {
            fd: map.fd().as_fd().try_clone_to_owned()?,
            entry: PhantomData,
        })
    }

    /// One entry.
    pub fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = V::default();
        // SAFETY: a union of plain integers; the kernel wants what is not used to be zero.
        let mut attr: bpf_attr = unsafe { zeroed() };
        attr.__bindgen_anon_2.map_fd = self.fd.as_raw_fd() as u32;
        attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
        attr.__bindgen_anon_2.__bindgen_anon_1.value = &raw mut value as u64;
        match call(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// From the first bucket, or index.
    pub fn walk(&self) -> Walk<'_, K, V> {
        Walk {
            table: self,
            cursor: None,
            keys: vec![K::default(); ENTRIES],
            values: vec![V::default(); ENTRIES],
            over: false,
        }
    }
}

impl<K: Pod + Default, V: Pod + Default> Walk<'_, K, V> {
    /// The next slice of entries; `None` at the end.
    pub fn next_slice(&mut self) -> io::Result<Option<Slice<'_, K, V>>> {
        while !self.over {
            let mut next = 0u32;
            // SAFETY: a union of plain integers; the kernel wants what is not used to be zero.
            let mut attr: bpf_attr = unsafe { zeroed() };
            attr.batch.in_batch = self
                .cursor
                .as_ref()
                .map_or(0, |cursor| cursor as *const u32 as u64);
            attr.batch.out_batch = &raw mut next as u64;
            attr.batch.keys = self.keys.as_mut_ptr() as u64;
            attr.batch.values = self.values.as_mut_ptr() as u64;
            attr.batch.count = self.keys.len() as u32;
            attr.batch.map_fd = self.table.fd.as_raw_fd() as u32;
            let result = call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
            match result.as_ref().err().and_then(io::Error::raw_os_error) {
                None => self.cursor = Some(next),
                Some(libc::ENOENT) => self.over = true,
                // One bucket alone holds more than asked for.
                Some(libc::ENOSPC) => {
                    self.keys.resize(2 * self.keys.len(), K::default());
                    self.values.resize(self.keys.len(), V::default());
                    continue;
                }
                Some(libc::EINTR) => continue,
                Some(_) => return result.map(|()| None),
            }
            // SAFETY: the call was made with `batch`, and the kernel has set `count` there.
            let read = unsafe { attr.batch.count } as usize;
            let (keys, values) = (self.keys.get(..read), self.values.get(..read));
            return Ok(keys.zip(values));
        }
        Ok(None)
    }
}

fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<()> {
    // SAFETY: `attr` names live buffers, of one or of `count` keys and values of the map's own sizes, see `Table::of`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            &raw mut *attr,
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A write of many entries stopped at one.
#[derive(Debug)]
pub struct Stopped {
    /// How many were done.
    pub done: usize,
    /// Why.
    pub error: io::Error,
}

impl<K: Pod + Default, V: Pod + Default> Table<K, V> {
    /// Sets entries, in order; how many system calls that took.
    pub fn set(&self, keys: &[K], values: &[V]) -> Result<usize, Stopped> {
        assert_eq!(keys.len(), values.len(), "each key has its value");
        let command = bpf_cmd::BPF_MAP_UPDATE_BATCH;
        self.change(command, keys, size_of::<V>(), values.as_ptr().cast())
    }

    /// Removes entries, in order; those that are gone already are passed over.
    pub fn remove(&self, keys: &[K]) -> Result<usize, Stopped> {
        let (mut done, mut calls) = (0, 0);
        loop {
            let command = bpf_cmd::BPF_MAP_DELETE_BATCH;
            let rest = keys.get(done..).unwrap_or(&[]);
            match self.change(command, rest, 0, std::ptr::null()) {
                Ok(more) => return Ok(calls + more),
                Err(stopped) if stopped.error.raw_os_error() == Some(libc::ENOENT) => {
                    done += stopped.done + 1;
                    calls += 1;
                }
                Err(stopped) => {
                    return Err(Stopped {
                        done: done + stopped.done,
                        ..stopped
                    });
                }
            }
        }
    }

    /// Sets entries of a per-CPU map to zero, on every CPU.
    pub fn clear_per_cpu(&self, keys: &[K], cpus: usize) -> Result<usize, Stopped> {
        // linux/kernel/bpf/syscall.c, bpf_map_value_size(): eight bytes' multiples, one for each possible CPU.
        let size = size_of::<V>().next_multiple_of(8) * cpus;
        let mut calls = 0;
        for (round, keys) in keys.chunks(ENTRIES).enumerate() {
            let zeros = vec![0u8; size * keys.len()];
            let command = bpf_cmd::BPF_MAP_UPDATE_BATCH;
            let result = self.change(command, keys, size, zeros.as_ptr());
            calls += result.map_err(|stopped| Stopped {
                done: round * ENTRIES + stopped.done,
                ..stopped
            })?;
        }
        Ok(calls)
    }

    /// Hands keys, and `size` bytes of values for each, to the kernel, a slice at a time.
    fn change(
        &self,
        command: bpf_cmd,
        keys: &[K],
        size: usize,
        values: *const u8,
    ) -> Result<usize, Stopped> {
        let (mut done, mut calls) = (0, 0);
        while done < keys.len() {
            let count = ENTRIES.min(keys.len() - done);
            // SAFETY: a union of plain integers; the kernel wants what is not used to be zero.
            let mut attr: bpf_attr = unsafe { zeroed() };
            attr.batch.keys = keys[done..].as_ptr() as u64;
            attr.batch.values = values as u64 + (done * size) as u64;
            attr.batch.count = count as u32;
            attr.batch.map_fd = self.fd.as_raw_fd() as u32;
            let result = call(command, &mut attr);
            calls += 1;
            // SAFETY: the call was made with `batch`, and the kernel has set `count` there.
            done += (unsafe { attr.batch.count } as usize).min(count);
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stopped { done, error }),
            }
        }
        Ok(calls)
    }
}
