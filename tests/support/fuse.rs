//! A file system of the tests' own, in memory, that hangs, delays, fails and tells the time as a test says: what a network file
//! system does on a bad day.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, FileAttr, FileType, Filesystem, MountOption, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow,
};
use nix::errno::Errno;

const ROOT: u64 = 1;
/// Reads ask the file system each time.
const DIRECT_IO: u32 = 1;

/// What the file system has been told to do.
#[derive(Default)]
struct Orders {
    /// The shortest and the longest delay of an operation, in milliseconds.
    delay_ms: (u64, u64),
    /// How many more operations there are before all hang.
    hangs_after: Option<u64>,
    /// How many more operations there are before so many fail like this.
    fails_after: Option<(u64, Errno, u64)>,
    /// How far its clock is ahead.
    offset_ms: i64,
    /// For how long the kernel believes what it was told about files and names.
    remembers: Duration,
    /// How many operations began.
    count: u64,
    /// How many operations hang.
    hanging: u64,
    dice: u64,
}

struct Node {
    data: Vec<u8>,
    mtime: SystemTime,
    nlink: u32,
    mode: u16,
}

#[derive(Default)]
struct Files {
    nodes: BTreeMap<u64, Node>,
    names: BTreeMap<OsString, u64>,
    last: u64,
}

#[derive(Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Condvar,
    files: Mutex<Files>,
}

type Outcome<T> = Result<T, Errno>;

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap()
    }

    /// What becomes of the next operation: how long it takes, whether it hangs, whether it fails.
    fn next(&self) -> (Duration, bool, Option<Errno>) {
        let mut orders = self.orders();
        orders.count += 1;
        let hangs = match &mut orders.hangs_after {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        };
        let fault = match &mut orders.fails_after {
            Some((0, errno, times)) if *times > 0 => {
                *times -= 1;
                Some(*errno)
            }
            Some((left, ..)) if *left > 0 => {
                *left -= 1;
                None
            }
            _ => None,
        };
        // xorshift: delays need not be good random numbers.
        orders.dice = (orders.dice | 1).wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (least, most) = orders.delay_ms;
        let delay = least + (orders.dice >> 33) % (most - least + 1);
        (Duration::from_millis(delay), hangs, fault)
    }

    /// Does `work` when and how it was ordered, and answers with it.
    fn serve<T: 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Shared) -> Outcome<T> + Send + 'static,
        answer: impl FnOnce(Outcome<T>, &Shared) + Send + 'static,
    ) {
        let shared = self.clone();
        let (delay, hangs, fault) = self.next();
        let serve = move || {
            std::thread::sleep(delay);
            if hangs {
                let mut orders = shared.orders();
                orders.hanging += 1;
                shared.changed.notify_all();
                let mut orders = shared.changed.wait_while(orders, |orders| orders.hangs_after == Some(0)).unwrap();
                orders.hanging -= 1;
            }
            let outcome = match fault {
                Some(errno) => Err(errno),
                None => work(&shared),
            };
            answer(outcome, &shared);
        };
        if hangs || !delay.is_zero() {
            std::thread::spawn(serve);
        } else {
            serve();
        }
    }

    fn now(&self) -> SystemTime {
        let offset_ms = self.orders().offset_ms;
        let now = SystemTime::now();
        let by = Duration::from_millis(offset_ms.unsigned_abs());
        if offset_ms < 0 { now - by } else { now + by }
    }

    fn remembers(&self) -> Duration {
        self.orders().remembers
    }

    fn attr(&self, files: &Files, ino: u64) -> Outcome<FileAttr> {
        let (kind, perm, nlink, size, mtime) = if ino == ROOT {
            (FileType::Directory, 0o700, 2, 0, SystemTime::UNIX_EPOCH)
        } else {
            let node = files.nodes.get(&ino).ok_or(Errno::ESTALE)?;
            (FileType::RegularFile, node.mode, node.nlink, node.data.len() as u64, node.mtime)
        };
        Ok(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: mtime,
            mtime,
            ctime: mtime,
            crtime: mtime,
            kind,
            perm,
            nlink,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn make(&self, name: OsString, mode: u32) -> Outcome<FileAttr> {
        let mtime = self.now();
        let mut files = self.files.lock().unwrap();
        if files.names.contains_key(&name) {
            return Err(Errno::EEXIST);
        }
        files.last = files.last.max(ROOT) + 1;
        let ino = files.last;
        files.nodes.insert(ino, Node { data: Vec::new(), mtime, nlink: 1, mode: (mode & 0o777) as u16 });
        files.names.insert(name, ino);
        self.attr(&files, ino)
    }

    fn unlink(files: &mut Files, name: &OsStr) -> Outcome<()> {
        let ino = files.names.remove(name).ok_or(Errno::ENOENT)?;
        // Who has it open may go on with it.
        if let Some(node) = files.nodes.get_mut(&ino) {
            node.nlink -= 1;
        }
        Ok(())
    }
}

struct Served(Arc<Shared>);

/// What an operation without an answer replies.
fn empty(reply: ReplyEmpty) -> impl FnOnce(Outcome<()>, &Shared) {
    move |outcome, _: &Shared| match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno as i32),
    }
}

fn entry(reply: ReplyEntry) -> impl FnOnce(Outcome<FileAttr>, &Shared) {
    move |outcome, shared: &Shared| match outcome {
        Ok(attr) => reply.entry(&shared.remembers(), &attr, 0),
        Err(errno) => reply.error(errno as i32),
    }
}

fn attributes(reply: ReplyAttr) -> impl FnOnce(Outcome<FileAttr>, &Shared) {
    move |outcome, shared: &Shared| match outcome {
        Ok(attr) => reply.attr(&shared.remembers(), &attr),
        Err(errno) => reply.error(errno as i32),
    }
}

impl Filesystem for Served {
    fn lookup(&mut self, _: &Request<'_>, _parent: u64, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        let work = move |shared: &Shared| {
            let files = shared.files.lock().unwrap();
            let ino = *files.names.get(&name).ok_or(Errno::ENOENT)?;
            shared.attr(&files, ino)
        };
        self.0.serve(work, entry(reply));
    }

    fn getattr(&mut self, _: &Request<'_>, ino: u64, _fh: Option<u64>, reply: ReplyAttr) {
        self.0.serve(move |shared| shared.attr(&shared.files.lock().unwrap(), ino), attributes(reply));
    }

    fn setattr(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<u64>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<u32>,
        reply: ReplyAttr,
    ) {
        let work = move |shared: &Shared| {
            let now = shared.now();
            let mut files = shared.files.lock().unwrap();
            if let Some(node) = files.nodes.get_mut(&ino) {
                if let Some(size) = size {
                    node.data.resize(size as usize, 0);
                    node.mtime = now;
                }
                if let Some(mode) = mode {
                    node.mode = (mode & 0o777) as u16;
                }
                match mtime {
                    Some(TimeOrNow::SpecificTime(time)) => node.mtime = time,
                    Some(TimeOrNow::Now) => node.mtime = now,
                    None => {}
                }
            }
            shared.attr(&files, ino)
        };
        self.0.serve(work, attributes(reply));
    }

    fn unlink(&mut self, _: &Request<'_>, _parent: u64, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.0.serve(move |shared| Shared::unlink(&mut shared.files.lock().unwrap(), &name), empty(reply));
    }

    fn rename(
        &mut self,
        _: &Request<'_>,
        _parent: u64,
        name: &OsStr,
        _newparent: u64,
        newname: &OsStr,
        _flags: u32,
        reply: ReplyEmpty,
    ) {
        let (name, new) = (name.to_owned(), newname.to_owned());
        let work = move |shared: &Shared| {
            let mut files = shared.files.lock().unwrap();
            let ino = files.names.remove(&name).ok_or(Errno::ENOENT)?;
            let _ = Shared::unlink(&mut files, &new);
            files.names.insert(new, ino);
            Ok(())
        };
        self.0.serve(work, empty(reply));
    }

    fn link(&mut self, _: &Request<'_>, ino: u64, _newparent: u64, newname: &OsStr, reply: ReplyEntry) {
        let name = newname.to_owned();
        let work = move |shared: &Shared| {
            let mut files = shared.files.lock().unwrap();
            if files.names.contains_key(&name) {
                return Err(Errno::EEXIST);
            }
            let node = files.nodes.get_mut(&ino).filter(|node| node.nlink > 0).ok_or(Errno::ENOENT)?;
            node.nlink += 1;
            files.names.insert(name, ino);
            shared.attr(&files, ino)
        };
        self.0.serve(work, entry(reply));
    }

    fn open(&mut self, _: &Request<'_>, ino: u64, _flags: i32, reply: ReplyOpen) {
        self.0.serve(
            move |shared| shared.attr(&shared.files.lock().unwrap(), ino),
            |outcome, _| match outcome {
                Ok(_) => reply.opened(0, DIRECT_IO),
                Err(errno) => reply.error(errno as i32),
            },
        );
    }

    fn create(
        &mut self,
        _: &Request<'_>,
        _parent: u64,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let name = name.to_owned();
        self.0.serve(
            move |shared| shared.make(name, mode),
            |outcome, shared| match outcome {
                Ok(attr) => reply.created(&shared.remembers(), &attr, 0, 0, DIRECT_IO),
                Err(errno) => reply.error(errno as i32),
            },
        );
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _fh: u64,
        offset: i64,
        size: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: ReplyData,
    ) {
        let work = move |shared: &Shared| {
            let files = shared.files.lock().unwrap();
            let data = &files.nodes.get(&ino).ok_or(Errno::ESTALE)?.data;
            let from = (offset as usize).min(data.len());
            Ok(data[from..(from + size as usize).min(data.len())].to_vec())
        };
        self.0.serve(work, |outcome, _| match outcome {
            Ok(data) => reply.data(&data),
            Err(errno) => reply.error(errno as i32),
        });
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _fh: u64,
        offset: i64,
        data: &[u8],
        _write_flags: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: ReplyWrite,
    ) {
        let data = data.to_vec();
        let work = move |shared: &Shared| {
            let now = shared.now();
            let mut files = shared.files.lock().unwrap();
            let node = files.nodes.get_mut(&ino).ok_or(Errno::ESTALE)?;
            let end = offset as usize + data.len();
            if node.data.len() < end {
                node.data.resize(end, 0);
            }
            node.data[offset as usize..end].copy_from_slice(&data);
            node.mtime = now;
            Ok(data.len() as u32)
        };
        self.0.serve(work, |outcome, _| match outcome {
            Ok(written) => reply.written(written),
            Err(errno) => reply.error(errno as i32),
        });
    }

    /// Nothing waits for a close: at the end of a process the kernel would not let go of it.
    fn flush(&mut self, _: &Request<'_>, _ino: u64, _fh: u64, _lock_owner: u64, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS as i32);
    }

    fn fsync(&mut self, _: &Request<'_>, _ino: u64, _fh: u64, _datasync: bool, reply: ReplyEmpty) {
        self.0.serve(|_| Ok(()), empty(reply));
    }

    fn fsyncdir(&mut self, _: &Request<'_>, _ino: u64, _fh: u64, _datasync: bool, reply: ReplyEmpty) {
        self.0.serve(|_| Ok(()), empty(reply));
    }

    fn opendir(&mut self, _: &Request<'_>, _ino: u64, _flags: i32, reply: ReplyOpen) {
        self.0.serve(
            |_| Ok(()),
            |outcome, _| match outcome {
                Ok(()) => reply.opened(0, 0),
                Err(errno) => reply.error(errno as i32),
            },
        );
    }

    fn readdir(&mut self, _: &Request<'_>, _ino: u64, _fh: u64, offset: i64, mut reply: ReplyDirectory) {
        let work = |shared: &Shared| {
            let files = shared.files.lock().unwrap();
            Ok(files.names.iter().map(|(name, ino)| (*ino, name.clone())).collect::<Vec<_>>())
        };
        self.0.serve(work, move |outcome: Outcome<Vec<(u64, OsString)>>, _| match outcome {
            Ok(names) => {
                for (at, (ino, name)) in names.iter().enumerate().skip(offset as usize) {
                    if reply.add(*ino, at as i64 + 1, FileType::RegularFile, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(errno) => reply.error(errno as i32),
        });
    }
}

/// The file system, mounted. It goes with this, and lets go of all who hang in it.
pub struct Disk {
    shared: Arc<Shared>,
    session: Option<BackgroundSession>,
    path: PathBuf,
}

impl Disk {
    /// None where this machine lets nobody mount; with `GCAUTH_REQUIRE_PEERS=1` that is a failure.
    pub fn mount() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gcauth-fuse-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for temporary files");
        let shared = Arc::new(Shared::default());
        let options = [MountOption::FSName("gcauth-test".into()), MountOption::DefaultPermissions];
        match fuser::spawn_mount2(Served(shared.clone()), &path, &options) {
            Ok(session) => Some(Disk { shared, session: Some(session), path }),
            Err(error) => {
                let _ = std::fs::remove_dir(&path);
                let is_required = std::env::var_os("GCAUTH_REQUIRE_PEERS").is_some_and(|value| value == "1");
                assert!(!is_required, "no file system can be mounted here: {error}");
                eprintln!("left out: no file system can be mounted here: {error}");
                None
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the session of a test lies.
    pub fn store(&self) -> String {
        format!("file:{}", self.path.join("session").display())
    }

    /// Each operation takes from `least_ms` to `most_ms` from now on.
    pub fn slow(&self, least_ms: u64, most_ms: u64) {
        self.shared.orders().delay_ms = (least_ms, most_ms);
    }

    /// After so many operations more all hang.
    pub fn hang_after(&self, operations: u64) {
        self.shared.orders().hangs_after = Some(operations);
    }

    /// Nothing hangs or fails any more.
    pub fn resume(&self) {
        let mut orders = self.shared.orders();
        orders.hangs_after = None;
        orders.fails_after = None;
        drop(orders);
        self.shared.changed.notify_all();
    }

    /// After so many operations more, `times` of them fail.
    pub fn fail_after(&self, operations: u64, errno: Errno, times: u64) {
        self.shared.orders().fails_after = Some((operations, errno, times));
    }

    /// Sets the clock of the file system.
    pub fn set_clock(&self, ahead_ms: i64) {
        self.shared.orders().offset_ms = ahead_ms;
    }

    /// For how long the kernel believes what it was told about files and names.
    pub fn remember(&self, remembers: Duration) {
        self.shared.orders().remembers = remembers;
    }

    /// How many operations began until now.
    pub fn operations(&self) -> u64 {
        self.shared.orders().count
    }

    /// Waits until an operation hangs. False: none does, for a long time.
    pub fn wait_hanging(&self, longest: Duration) -> bool {
        let orders = self.shared.orders();
        let (_orders, waited) =
            self.shared.changed.wait_timeout_while(orders, longest, |orders| orders.hanging == 0).unwrap();
        !waited.timed_out()
    }

    /// Whether an operation hangs.
    pub fn is_hanging(&self) -> bool {
        self.shared.orders().hanging > 0
    }

    /// The names of the files, without asking the kernel.
    pub fn files(&self) -> Vec<String> {
        let files = self.shared.files.lock().unwrap();
        files.names.keys().map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.resume();
        self.slow(0, 0);
        // Detached: somebody may still have a file open.
        if let Ok(path) = std::ffi::CString::new(self.path.as_os_str().as_encoded_bytes()) {
            // SAFETY: the path ends with a NUL and lives until the call returns.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        drop(self.session.take());
        let _ = std::fs::remove_dir(&self.path);
    }
}
