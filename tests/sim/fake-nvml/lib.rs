//! A stand-in for `libnvidia-ml.so.1`: the C interface of `nvml.h`, as far as the GPU collectors may call it, and what
//! it says is a text file.
//!
//! The file is called `state`, and stands in the same folder as the library, so a test copies both and has a library of
//! its own. It is read anew at each call. A line is a key and what is said:
//!
//! ```text
//! gpus 2                                           # how many there are
//! nvmlDeviceGetPowerUsage 118250                   # by function; of every GPU
//! gpu1 nvmlDeviceGetClockInfo.2 2619               # of one GPU, with the arguments behind dots
//! gpu1 nvmlDeviceGetUtilizationRates error 15      # a return code
//! nvmlDeviceGetFieldValues.164.0 1 26562           # a field value: number, scope; type, value
//! stall nvmlDeviceGetTemperature 15000             # milliseconds that each call takes
//! hold nvmlDeviceGetTemperature yes                # each call waits until this line is gone
//! text nvmlDeviceGetName endless                   # text without its final zero
//! xid.1 0 79                                       # the first event: of GPU 0, XID 79
//! ```
//!
//! What has no line is not supported. Numbers stand in the order of the structure that they fill. Every call is written
//! into the file `calls` beside, a line each.

#![expect(unsafe_code, reason = "it is a library with a C interface")]
#![expect(unreachable_pub, reason = "names and contracts are those of nvml.h")]

mod interface;
#[path = "../record.rs"]
mod record;
mod state;
