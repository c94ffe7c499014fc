//! The door to ioctls: the few requests that read and change nothing, each built here field by field.
//!
//! [`DeviceRequest`] is the whole list. No function takes an opcode, a command or a path.
//! In a captured tree no device is asked: its answer is the file `answers/<device>/<request>`, the bytes as the device
//! gave them.
//!
//! A command's own timeout is the one that the kernel would take, never a shorter one: when the timeout of a command to
//! a drive passes, its driver resets the drive, which no watcher may cause. Who waits too long is ended from outside.

#![expect(
    unsafe_code,
    reason = "no safe wrapper exists for these three ioctls; each block says why it is sound"
)]

use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

use glasshouse_core::failure::{CollectError, FailureReason};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::buffer::ReadBuffer;
use crate::parse::malformed;
use crate::requests::{DeviceRequest, NAME_BYTES};
use crate::root::{SysRoot, machine_path, os_error};
use crate::witness::sending;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the layouts below are those of machines with 64 bits");

impl SysRoot {
    /// Asks a device, or takes the recorded answer of a captured tree.
    ///
    /// # Errors
    /// [`CollectError`] that names the device: missing, denied without the right in [`crate::ALLOWED`], unsupported where the
    /// device or its driver does not know the request, malformed where the answer is too long.
    pub fn ask(&self, request: DeviceRequest, device: &str) -> Result<Vec<u8>, CollectError> {
        if !request.takes(device) {
            return Err(malformed("dev", None, "the name of a device", device));
        }
        if !self.is_live() {
            let path = format!("answers/{device}/{}", request.word());
            return Ok(self.read_bytes(&path, &mut ReadBuffer::new())?.to_vec());
        }
        let (path, answer) = match request {
            DeviceRequest::NvmeSmartLog => {
                let path = format!("dev/{device}");
                let file = self.open(&path)?;
                (path, nvme_smart_log(file.as_fd()))
            }
            DeviceRequest::AtaSmartData | DeviceRequest::AtaSmartThresholds => {
                let path = format!("dev/{device}");
                let file = self.open(&path)?;
                (path, ata_read(file.as_fd(), request))
            }
            _ => (
                format!("sys/class/net/{device}"),
                ethtool(request, device.as_bytes()),
            ),
        };
        answer.map_err(|refusal| refusal.told(&path))
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Refusal {
    Os(Errno),
    /// The device says so itself.
    Device(FailureReason, String),
}

impl Refusal {
    fn told(self, path: &str) -> CollectError {
        match self {
            Self::Os(errno @ (Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL)) => CollectError {
                reason: FailureReason::Unsupported,
                ..os_error(path, errno)
            },
            Self::Os(errno) => os_error(path, errno),
            Self::Device(reason, detail) => CollectError {
                path: machine_path(path),
                line: None,
                reason,
                detail,
            },
        }
    }
}

/// The three ioctls.
#[derive(Clone, Copy, Debug)]
enum Carried {
    /// `_IOWR('N', 0x41, struct nvme_admin_cmd)`, linux/nvme_ioctl.h.
    NvmeAdmin,
    /// scsi/sg.h
    ScsiGeneric,
    /// linux/sockios.h
    Ethtool,
}

/// One call: which ioctl, and what it points to.
struct Call<'a, T> {
    carried: Carried,
    argument: &'a mut T,
}

// SAFETY: the opcode is of one of three ioctls that take a pointer to their own structure, and `send` is called with
// that structure alone; `as_ptr` points to it for as long as it is borrowed, and no output is read through the pointer.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        match self.carried {
            Carried::NvmeAdmin => 0xC048_4E41,
            Carried::ScsiGeneric => 0x2285,
            Carried::Ethtool => 0x8946,
        }
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.argument).cast()
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(output)
    }
}

/// # Safety
/// `T` is the structure of this ioctl, and every pointer in it is to memory of the length that it says, which lives
/// until this returns; or the kernel's writes beyond it meet a page that nobody may write.
unsafe fn send<T>(
    file: BorrowedFd<'_>,
    carried: Carried,
    argument: &mut T,
) -> Result<IoctlOutput, Refusal> {
    loop {
        let call = Call {
            carried,
            argument: &mut *argument,
        };
        // SAFETY: see above: the caller vouches for the structure and its pointers
        match unsafe { rustix::ioctl::ioctl(file, call) } {
            Err(Errno::INTR) => {}
            outcome => return outcome.map_err(Refusal::Os),
        }
    }
}

// ---- NVMe ---------------------------------------------------------------------------------------------------------

/// `struct nvme_passthru_cmd` of linux/nvme_ioctl.h.
#[repr(C)]
#[derive(Debug, Default)]
struct NvmeAdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    dwords_2_and_3: [u32; 2],
    metadata: u64,
    address: u64,
    metadata_bytes: u32,
    data_bytes: u32,
    dwords_10_to_15: [u32; 6],
    timeout_milliseconds: u32,
    result: u32,
}
const _: () = assert!(size_of::<NvmeAdminCommand>() == 72);

/// Bytes of the SMART / Health Information log, and of a sector of an ATA disk.
const BLOCK_BYTES: usize = 512;
const BLOCK_BYTES_U32: u32 = 512;

/// What the kernel gives admin commands and SMART commands by itself.
const TIMEOUT_MILLISECONDS: u32 = 60_000;

fn nvme_smart_log(file: BorrowedFd<'_>) -> Result<Vec<u8>, Refusal> {
    const GET_LOG_PAGE: u8 = 0x02;
    const SMART: u32 = 0x02;
    /// Without it, reading would clear an event that somebody else waits for.
    const RETAIN_ASYNCHRONOUS_EVENT: u32 = 1 << 15;
    /// Dwords to read, less one, in the upper half.
    const LENGTH: u32 = (BLOCK_BYTES_U32 / 4 - 1) << 16;
    let mut log = vec![0_u8; BLOCK_BYTES];
    let mut command = NvmeAdminCommand {
        opcode: GET_LOG_PAGE,
        // the controller as a whole
        namespace: u32::MAX,
        address: log.as_mut_ptr().expose_provenance() as u64,
        data_bytes: BLOCK_BYTES_U32,
        dwords_10_to_15: [LENGTH | RETAIN_ASYNCHRONOUS_EVENT | SMART, 0, 0, 0, 0, 0],
        timeout_milliseconds: TIMEOUT_MILLISECONDS,
        ..NvmeAdminCommand::default()
    };
    let (opcode, log_page) = (command.opcode, SMART);
    sending("ioctl", || {
        format!("NVME_IOCTL_ADMIN_CMD {opcode:02X}h/{log_page:02X}h")
    });
    // SAFETY: the structure is that of the ioctl; `address` points to `data_bytes` bytes of `log`, which outlives it
    let status = unsafe { send(file, Carried::NvmeAdmin, &mut command) }?;
    match status {
        0 => Ok(log),
        status => Err(nvme_refusal(status)),
    }
}

/// Status code in bits 7:0, its type in 10:8 (NVM Express Base Specification, Status Field).
fn nvme_refusal(status: IoctlOutput) -> Refusal {
    /// Invalid Command Opcode, Invalid Field in Command, Invalid Log Page.
    const UNKNOWN: [IoctlOutput; 3] = [0x001, 0x002, 0x109];
    let reason = if UNKNOWN.contains(&(status & 0x7FF)) {
        FailureReason::Unsupported
    } else {
        FailureReason::Io
    };
    let detail = format!("the controller answered status {:#05x}", status & 0x7FF);
    Refusal::Device(reason, detail)
}

// ---- ATA through SCSI ---------------------------------------------------------------------------------------------

/// `struct sg_io_hdr` of scsi/sg.h.
#[repr(C)]
#[derive(Debug)]
struct ScsiGenericHeader {
    interface: i32,
    direction: i32,
    command_bytes: u8,
    most_sense_bytes: u8,
    scatter_entries: u16,
    data_bytes: u32,
    data: *mut u8,
    command: *const u8,
    sense: *mut u8,
    timeout_milliseconds: u32,
    flags: u32,
    pack_id: i32,
    user: *mut c_void,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_bytes: u8,
    host_status: u16,
    driver_status: u16,
    residual_bytes: i32,
    duration_milliseconds: u32,
    info: u32,
}
const _: () = assert!(size_of::<ScsiGenericHeader>() == 88);

fn ata_read(file: BorrowedFd<'_>, request: DeviceRequest) -> Result<Vec<u8>, Refusal> {
    const SENSE_BYTES: u8 = 32;
    const TO_US: i32 = -3;
    let command = ata_command(request);
    let [_, _, _, _, feature, .., smart, _] = command;
    sending("ioctl", || format!("SG_IO {smart:02X}h/{feature:02X}h"));
    let mut data = vec![0_u8; BLOCK_BYTES];
    let mut sense = [0_u8; SENSE_BYTES as usize];
    let mut header = ScsiGenericHeader {
        interface: i32::from(b'S'),
        direction: TO_US,
        command_bytes: 16,
        most_sense_bytes: SENSE_BYTES,
        scatter_entries: 0,
        data_bytes: BLOCK_BYTES_U32,
        data: data.as_mut_ptr(),
        command: command.as_ptr(),
        sense: sense.as_mut_ptr(),
        timeout_milliseconds: TIMEOUT_MILLISECONDS,
        flags: 0,
        pack_id: 0,
        user: ptr::null_mut(),
        status: 0,
        masked_status: 0,
        message_status: 0,
        sense_bytes: 0,
        host_status: 0,
        driver_status: 0,
        residual_bytes: 0,
        duration_milliseconds: 0,
        info: 0,
    };
    // SAFETY: the structure is that of the ioctl; its three pointers are to arrays of the lengths beside them (16 bytes
    // of command), which outlive it
    unsafe { send(file, Carried::ScsiGeneric, &mut header) }?;
    if header.status != 0 || header.host_status != 0 || header.residual_bytes != 0 {
        return Err(ata_refusal(&header, &sense));
    }
    Ok(data)
}

/// The command block of ATA PASS-THROUGH (16), SCSI / ATA Translation.
fn ata_command(request: DeviceRequest) -> [u8; 16] {
    const PASS_THROUGH_16: u8 = 0x85;
    const PIO_DATA_IN: u8 = 4 << 1;
    /// The length is in the count field, in blocks, and the data comes from the disk.
    const ONE_BLOCK_FROM_DISK: u8 = 0x0E;
    const SMART: u8 = 0xB0;
    const SMART_KEY: [u8; 2] = [0x4F, 0xC2];
    const READ_DATA: u8 = 0xD0;
    const READ_THRESHOLDS: u8 = 0xD1;
    let feature = if request == DeviceRequest::AtaSmartThresholds {
        READ_THRESHOLDS
    } else {
        READ_DATA
    };
    let [middle, high] = SMART_KEY;
    // the command, then feature, count, address, device, command of the disk
    let (pass, pio, block) = (PASS_THROUGH_16, PIO_DATA_IN, ONE_BLOCK_FROM_DISK);
    [
        pass, pio, block, 0, feature, 0, 1, 0, 0, 0, middle, 0, high, 0, SMART, 0,
    ]
}

/// The sense key says whether the disk, or the layer before it, does not know the command.
fn ata_refusal(header: &ScsiGenericHeader, sense: &[u8]) -> Refusal {
    const DESCRIPTOR_FORMAT: u8 = 0x72;
    const ILLEGAL_REQUEST: u8 = 0x05;
    const ABORTED_COMMAND: u8 = 0x0B;
    let key = match sense {
        [code, key, ..] if code & 0x7F >= DESCRIPTOR_FORMAT => key & 0x0F,
        [_, _, key, ..] => key & 0x0F,
        _ => 0,
    };
    let reason = match key {
        ILLEGAL_REQUEST | ABORTED_COMMAND if header.host_status == 0 => FailureReason::Unsupported,
        _ => FailureReason::Io,
    };
    let detail = format!(
        "the disk answered status {:#04x}, host status {:#04x}, sense key {key:#03x}",
        header.status, header.host_status
    );
    Refusal::Device(reason, detail)
}

// ---- ethtool ------------------------------------------------------------------------------------------------------

/// `struct ifreq` with its pointer, net/if.h.
#[repr(C)]
#[derive(Debug)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    data: *mut c_void,
    rest: [u64; 2],
}
const _: () = assert!(size_of::<InterfaceRequest>() == 40);

/// Names or numbers of one interface: a card with 250 queues counts 10,000 things with 32 bytes of name.
const MOST_ANSWER_BYTES: usize = 2 << 20;

/// Memory of whole pages with one behind it that nobody may touch. The kernel writes as many statistics as the driver
/// has by then, whatever it said a moment before: one too many meets that page, and the call fails.
#[derive(Debug)]
struct Region {
    start: *mut c_void,
    bytes: usize,
}

impl Region {
    /// At least this many bytes, all zero.
    fn new(bytes: usize) -> Result<Self, Refusal> {
        if bytes > MOST_ANSWER_BYTES {
            let detail = format!("expected at most {MOST_ANSWER_BYTES} bytes, found {bytes}");
            return Err(Refusal::Device(FailureReason::Malformed, detail));
        }
        let page = rustix::param::page_size();
        let bytes = bytes.max(1).next_multiple_of(page);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses touches no other memory
        let start = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), bytes + page, access, MapFlags::PRIVATE)
        }
        .map_err(Refusal::Os)?;
        let region = Self { start, bytes };
        // SAFETY: the last page of the mapping made above, to which nobody has a reference
        unsafe {
            let guard = region.start.cast::<u8>().add(bytes).cast();
            rustix::mm::mprotect(guard, page, MprotectFlags::empty())
        }
        .map_err(Refusal::Os)?;
        Ok(region)
    }

    const fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is this long, readable, writable, was zero to begin with, and lives as long as `self`
        unsafe { std::slice::from_raw_parts_mut(self.start.cast(), self.bytes) }
    }

    fn word(&mut self, at: usize) -> u32 {
        let word = self.bytes().get(at..).and_then(<[u8]>::first_chunk);
        word.map_or(0, |word| u32::from_ne_bytes(*word))
    }

    /// Writes words of the machine's order to the start.
    fn put(&mut self, words: &[u32]) {
        for (place, word) in self.bytes().chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
    }

    fn taken(&mut self, from: usize, bytes: usize) -> Vec<u8> {
        let end = from.saturating_add(bytes).min(self.bytes);
        self.bytes().get(from..end).unwrap_or_default().to_vec()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, with its last page; no reference into it outlives `self`
        unsafe { rustix::mm::munmap(self.start, self.bytes + rustix::param::page_size()) }.ok();
    }
}

/// Words at the start of an answer: the command, and what it asks for.
fn ask_interface(name: &[u8], region: &mut Region, words: &[u32]) -> Result<(), Refusal> {
    let command = words.first().copied().unwrap_or_default();
    sending("ioctl", || format!("SIOCETHTOOL {command:02X}h"));
    region.put(words);
    let mut request = InterfaceRequest {
        name: [0; NAME_BYTES],
        data: region.start,
        rest: [0; 2],
    };
    for (place, byte) in request.name.iter_mut().take(NAME_BYTES - 1).zip(name) {
        *place = *byte;
    }
    // any socket carries it, and one of this family can reach no network
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(Refusal::Os)?;
    // SAFETY: the structure is that of the ioctl; it points to a region that outlives it and ends with a guard page
    unsafe { send(socket.as_fd(), Carried::Ethtool, &mut request) }.map(drop)
}

fn ethtool(request: DeviceRequest, name: &[u8]) -> Result<Vec<u8>, Refusal> {
    const GDRVINFO: u32 = 0x03;
    const GFECPARAM: u32 = 0x50;
    const GMODULEINFO: u32 = 0x42;
    match request {
        DeviceRequest::EthtoolDriver => fixed_answer(name, GDRVINFO, 196),
        DeviceRequest::EthtoolFec => fixed_answer(name, GFECPARAM, 16),
        DeviceRequest::EthtoolModuleInfo => fixed_answer(name, GMODULEINFO, 44),
        DeviceRequest::EthtoolLinkSettings => link_settings(name),
        DeviceRequest::EthtoolStatisticNames => statistic_names(name),
        DeviceRequest::EthtoolStatistics => statistics(name),
        DeviceRequest::EthtoolModuleMemory => module_memory(name),
        // asked by files
        DeviceRequest::NvmeSmartLog
        | DeviceRequest::AtaSmartData
        | DeviceRequest::AtaSmartThresholds => Err(Refusal::Os(Errno::OPNOTSUPP)),
    }
}

/// A structure without a tail.
fn fixed_answer(name: &[u8], command: u32, bytes: usize) -> Result<Vec<u8>, Refusal> {
    let mut region = Region::new(bytes)?;
    ask_interface(name, &mut region, &[command])?;
    Ok(region.taken(0, bytes))
}

/// Asked twice: the first answer says, as a negative number, how long the masks of this kernel are.
fn link_settings(name: &[u8]) -> Result<Vec<u8>, Refusal> {
    const GLINKSETTINGS: u32 = 0x4C;
    /// `link_mode_masks_nwords`.
    const MASK_WORDS: usize = 15;
    const FIXED_BYTES: usize = 48;
    const MASKS: usize = 3;
    let mut region = Region::new(FIXED_BYTES + MASKS * 4 * 127)?;
    ask_interface(name, &mut region, &[GLINKSETTINGS])?;
    let said = region.bytes().get(MASK_WORDS).copied().unwrap_or(0);
    // a signed byte
    let words = if said >= 0x80 { said.wrapping_neg() } else { 0 };
    region.bytes().fill(0);
    if let Some(place) = region.bytes().get_mut(MASK_WORDS) {
        *place = words;
    }
    ask_interface(name, &mut region, &[GLINKSETTINGS])?;
    Ok(region.taken(0, FIXED_BYTES + MASKS * 4 * usize::from(words)))
}

/// How many things the driver counts now.
fn statistic_count(name: &[u8]) -> Result<u32, Refusal> {
    const GSSET_INFO: u32 = 0x37;
    let mut region = Region::new(24)?;
    // the mask of sets is the two words behind the reserved one
    let mask = (1_u64 << STATISTICS_SET).to_ne_bytes();
    let mut words = [GSSET_INFO, 0, 0, 0];
    for (word, half) in words.iter_mut().skip(2).zip(mask.chunks_exact(4)) {
        *word = half
            .first_chunk()
            .map_or(0, |half| u32::from_ne_bytes(*half));
    }
    ask_interface(name, &mut region, &words)?;
    let known = region.word(8) | region.word(12);
    match region.word(16) {
        count @ 1.. if known != 0 => Ok(count),
        _ => Err(Refusal::Os(Errno::OPNOTSUPP)),
    }
}

/// `ETH_SS_STATS`.
const STATISTICS_SET: u32 = 1;

/// What the count would be if the answer had no end; refused by [`Region::new`].
fn bytes_of(count: u32, each: usize) -> usize {
    usize::try_from(count)
        .unwrap_or(usize::MAX)
        .saturating_mul(each)
}

fn statistic_names(name: &[u8]) -> Result<Vec<u8>, Refusal> {
    const GSTRINGS: u32 = 0x1B;
    const HEADER_BYTES: usize = 12;
    const NAME_BYTES: usize = 32;
    let bytes = bytes_of(statistic_count(name)?, NAME_BYTES);
    let mut region = Region::new(bytes.saturating_add(HEADER_BYTES))?;
    ask_interface(name, &mut region, &[GSTRINGS, STATISTICS_SET])?;
    let answered = bytes_of(region.word(8), NAME_BYTES);
    Ok(region.taken(HEADER_BYTES, answered))
}

fn statistics(name: &[u8]) -> Result<Vec<u8>, Refusal> {
    const GSTATS: u32 = 0x1D;
    const HEADER_BYTES: usize = 8;
    const NUMBER_BYTES: usize = 8;
    let count = statistic_count(name)?;
    let bytes = bytes_of(count, NUMBER_BYTES);
    let mut region = Region::new(bytes.saturating_add(HEADER_BYTES))?;
    ask_interface(name, &mut region, &[GSTATS, count])?;
    let answered = bytes_of(region.word(4), NUMBER_BYTES);
    Ok(region.taken(HEADER_BYTES, answered))
}

/// Reads around the flags of QSFP and CMIS modules that a reading clears: they belong to whoever acts on them.
fn module_memory(name: &[u8]) -> Result<Vec<u8>, Refusal> {
    /// Lower memory and the pages that drivers join to it: the longest that linux/ethtool.h knows has 640 bytes.
    const MOST_MODULE_BYTES: u32 = 1024;
    /// What kind of module, its revision, its state.
    const HEAD: u32 = 3;
    /// `ETH_MODULE_SFF_8079`, `ETH_MODULE_SFF_8472`: without such flags.
    const WITHOUT_LATCHES: [u32; 2] = [1, 2];
    /// Where the flags end: before the first reading, in SFF-8636 and in CMIS.
    const SFF_8636_FLAGS_END: u32 = 22;
    const CMIS_FLAGS_END: u32 = 14;
    /// Identifiers of modules with CMIS (SFF-8024): QSFP-DD, OSFP, SFP-DD, DSFP, QSFP+ with CMIS, SFP-DD with CMIS.
    const CMIS: [u8; 6] = [0x18, 0x19, 0x1A, 0x1B, 0x1E, 0x1F];
    let info = ethtool(DeviceRequest::EthtoolModuleInfo, name)?;
    let word = |at| info.get(at..).and_then(<[u8]>::first_chunk);
    let word = |at| word(at).map_or(0, |word| u32::from_ne_bytes(*word));
    let (kind, length) = (word(4), word(8).min(MOST_MODULE_BYTES));
    if WITHOUT_LATCHES.contains(&kind) {
        return module_range(name, 0, length);
    }
    let mut memory = module_range(name, 0, length.min(HEAD))?;
    let end = match memory.first() {
        Some(identifier) if CMIS.contains(identifier) => CMIS_FLAGS_END,
        _ => SFF_8636_FLAGS_END,
    };
    if length > end {
        memory.resize(bytes_of(end, 1), 0);
        memory.extend(module_range(name, end, length - end)?);
    }
    Ok(memory)
}

fn module_range(name: &[u8], offset: u32, bytes: u32) -> Result<Vec<u8>, Refusal> {
    const GMODULEEEPROM: u32 = 0x43;
    const HEADER_BYTES: usize = 16;
    let length = bytes_of(bytes, 1);
    let mut region = Region::new(length.saturating_add(HEADER_BYTES))?;
    ask_interface(name, &mut region, &[GMODULEEEPROM, 0, offset, bytes])?;
    Ok(region.taken(HEADER_BYTES, length))
}

/// What the kernel says of its clock, and in which state it is: `adjtimex`(2) with no mode bit set, which only asks. It is
/// no ioctl, but no safe library has it either.
pub(crate) fn adjtimex() -> rustix::io::Result<(libc::timex, i32)> {
    // SAFETY: `timex` is a C struct of numbers, for which all zeros are valid.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live and writable `timex`; its `modes` are 0, so the kernel does nothing but write it.
    let outcome = unsafe { libc::adjtimex(&raw mut state) };
    if outcome < 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    Ok((state, outcome))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::requests::ALLOWED;

    #[test]
    fn commands_to_disks_read_one_block_by_pio() {
        for (request, feature) in [
            (DeviceRequest::AtaSmartData, 0xD0),
            (DeviceRequest::AtaSmartThresholds, 0xD1),
        ] {
            let block = ata_command(request);
            assert_eq!(block[..3], [0x85, 0x08, 0x0E]);
            assert_eq!(block[4], feature);
            assert_eq!(block[6], 1);
            assert_eq!([block[10], block[12]], [0x4F, 0xC2]);
            assert_eq!(block[14], 0xB0);
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder_of_devices() {
        let root = SysRoot::new(Path::new("/"));
        for (request, names) in [
            (
                DeviceRequest::NvmeSmartLog,
                &["", "nvme", "nvme0n1", "../nvme0", "sda"][..],
            ),
            (
                DeviceRequest::AtaSmartData,
                &["sd", "sda1", "SDA", "sd/a", "nvme0"],
            ),
            (
                DeviceRequest::EthtoolDriver,
                &["", "..", "eth0/x", "sixteen_letters_", "a b"],
            ),
        ] {
            for name in names {
                let error = root.ask(request, name).unwrap_err();
                assert_eq!(error.reason, FailureReason::Malformed, "{request:?} {name}");
            }
        }
    }

    #[test]
    fn a_captured_tree_answers_from_files() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("answers/nvme0")).unwrap();
        std::fs::write(tree.path().join("answers/nvme0/smart_log"), [7; 512]).unwrap();
        let root = SysRoot::new(tree.path());
        assert_eq!(
            root.ask(DeviceRequest::NvmeSmartLog, "nvme0").unwrap(),
            [7; 512]
        );
        let error = root.ask(DeviceRequest::NvmeSmartLog, "nvme1").unwrap_err();
        assert_eq!(error.reason, FailureReason::Missing);
    }

    #[test]
    fn a_region_ends_where_it_says_and_no_farther() {
        let mut region = Region::new(10).unwrap();
        region.put(&[1, 2, 3]);
        assert_eq!(region.word(8), 3);
        assert_eq!(region.taken(4, 4), 2_u32.to_ne_bytes());
        assert_eq!(region.bytes().len() % rustix::param::page_size(), 0);
        assert!(Region::new(MOST_ANSWER_BYTES + 1).is_err());
        // the kernel may not write to the guard: reading a pipe into it fails
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let bytes = region.bytes;
        std::io::Write::write_all(&mut std::fs::File::from(writer), &vec![9; bytes + 1]).unwrap();
        // SAFETY: the guard page is where the slice would reach; the kernel refuses to write there
        let beyond =
            unsafe { std::slice::from_raw_parts_mut(region.start.cast::<u8>().add(bytes), 1) };
        assert_eq!(rustix::io::read(&reader, beyond), Err(Errno::FAULT));
    }

    /// What this machine has: an interface with a driver, or none that says anything.
    #[test]
    fn interfaces_of_this_machine_answer_or_refuse() {
        let root = SysRoot::new(Path::new("/"));
        let names = root.list("sys/class/net").unwrap_or_default();
        for name in &names {
            for one in ALLOWED.iter().filter(|one| one.ioctl == "SIOCETHTOOL") {
                match root.ask(one.request, name) {
                    Ok(answer) => println!("{name} {}: {} bytes", one.command, answer.len()),
                    Err(error) => println!("{name} {}: {error}", one.command),
                }
            }
        }
        let error = root
            .ask(DeviceRequest::EthtoolDriver, "nowhere0")
            .unwrap_err();
        assert_eq!(error.reason, FailureReason::Missing, "{error}");
    }

    #[test]
    fn what_is_no_device_refuses() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        for outcome in [
            nvme_smart_log(file.as_fd()),
            ata_read(file.as_fd(), DeviceRequest::AtaSmartData),
        ] {
            let error = outcome.unwrap_err().told("dev/x");
            assert_eq!(error.reason, FailureReason::Unsupported, "{error}");
        }
    }
}
