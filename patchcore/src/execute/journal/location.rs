//! Where a journal may lie.
//!
//! SQLite's write-ahead log needs memory that all processes share and locks that work
//! (<https://www.sqlite.org/wal.html>, "All processes using a database must be on the same host
//! computer"), which file systems over a network do not give.

use std::path::{Component, Path, PathBuf, Prefix};

use super::cause::Place;
use crate::error::{ErrorKind, Result};

/// Linux' names of file systems whose files other machines change, or which have no shared memory.
const REMOTE: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "pvfs2",
    "smb3",
    "smbfs",
    "vboxsf",
    "vmhgfs",
];

/// The smallest page of an SQLite database (<https://www.sqlite.org/fileformat2.html>, 1.3.2).
const SHORTEST: u64 = 512;

/// The real path of a journal, which exists or can be made there.
///
/// Links are resolved, so that two names of one journal have one lock.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let place = Place::file(path);
    let failed = |error| place.io("find its directory", error);
    let resolved = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| {
                place
                    .error(ErrorKind::InvalidInput, "its path names no file")
                    .hint("give a path such as run.db")
            })?;
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            directory
                .unwrap_or(Path::new("."))
                .canonicalize()
                .map_err(failed)?
                .join(name)
        }
        Err(error) => return Err(failed(error)),
    };
    if resolved.is_dir() {
        return Err(place
            .error(ErrorKind::InvalidInput, "its path is a directory")
            .expected("a file")
            .hint("give a path such as run.db inside it"));
    }
    // SQLite takes a file that is shorter than its header for an empty one, and would write over it.
    let length = std::fs::metadata(&resolved).map_or(0, |file| file.len());
    if (1..SHORTEST).contains(&length) {
        return Err(place
            .error(ErrorKind::JournalDamaged, "it is too short to be a journal")
            .expected(format!("at least {SHORTEST} bytes"))
            .found(format!("{length}"))
            .consequence("nothing was written")
            .hint("check the path; a new journal is made when the file does not exist yet"));
    }
    if let Some(kind) = remote_file_system(&resolved) {
        return Err(place
            .error(
                ErrorKind::InvalidInput,
                "it lies on a file system on which it would not be safe",
            )
            .expected("a disk of this machine")
            .found(format!("a file system of type {kind}"))
            .consequence("nothing was written")
            .hint(
                "put it on a local disk, and copy it to the network afterwards if others need it",
            ));
    }
    Ok(resolved)
}

/// Refuses a path where no journal is: whoever only reads, or takes over, never makes one.
pub(super) fn must_exist(path: &Path, place: &Place) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(place
            .error(ErrorKind::NotFound, "there is no such file")
            .expected("a journal that a run was started with")
            .hint("check the path; whoever only reads never makes a journal")),
        Err(error) => Err(place.io("read it", error)),
    }
}

fn remote_file_system(path: &Path) -> Option<String> {
    if let Some(Component::Prefix(prefix)) = path.components().next()
        && matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..))
    {
        return Some("network share".to_owned());
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    file_system(&mounts, path).filter(|kind| is_remote(kind))
}

fn is_remote(kind: &str) -> bool {
    // Of the file systems in user space only those over a block device are local.
    REMOTE.contains(&kind) || kind.starts_with("fuse.")
}

/// The type of the file system that holds a path, from Linux' mountinfo, see
/// proc_pid_mountinfo(5): field 5 is the mount point, the field after ` - ` the type.
fn file_system(mountinfo: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        let Some((mount, source)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), source.split(' ').next()) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        let depth = point.components().count();
        // Of two mounts on one point the later one hides the earlier.
        if path.starts_with(&point) && best.is_none_or(|(deepest, _)| depth >= deepest) {
            best = Some((depth, kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

/// Mountinfo writes space, tab, line feed and backslash as `\040`, `\011`, `\012` and `\134`.
fn unescape(point: &str) -> String {
    point
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /srv/share rw - nfs4 files:/share rw
31 30 0:41 / /srv/share/local rw - xfs /dev/vdb rw
32 27 0:42 / /mnt/my\\040disk rw shared:7 - cifs //files/x rw
33 27 0:43 / /data rw - ext4 /dev/vdc rw
34 33 0:44 / /data rw - fuse.sshfs files: rw
35 27 0:45 / /ntfs rw - fuseblk /dev/vdd rw
";

    #[test]
    fn the_mount_that_holds_a_path_decides() {
        let check = |path: &str, kind: &str, remote: bool| {
            assert_eq!(
                file_system(MOUNTS, Path::new(path)).as_deref(),
                Some(kind),
                "{path}"
            );
            assert_eq!(is_remote(kind), remote, "{path}");
        };
        check("/var/lib/run.db", "ext4", false);
        check("/srv/share/run.db", "nfs4", true);
        check("/srv/shared/run.db", "ext4", false);
        check("/srv/share/local/run.db", "xfs", false);
        check("/mnt/my disk/run.db", "cifs", true);
        check("/data/run.db", "fuse.sshfs", true);
        check("/ntfs/run.db", "fuseblk", false);
    }

    #[test]
    fn mounts_that_cannot_be_read_name_no_file_system() {
        assert_eq!(file_system("", Path::new("/run.db")), None);
        assert_eq!(
            file_system("nonsense\n1 2 3 - \n", Path::new("/run.db")),
            None
        );
    }
}
