//! What can be wrong with a message.

/// Why a payload is no message, or a message no payload.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not protobuf, or not this message.
    #[error("the payload is not a message of this protocol")]
    Protobuf {
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
    /// A kind of message that this version does not know; the sender is newer.
    #[error("the payload is a kind of message that this version does not know")]
    UnknownMessage,
    /// A field is missing, too long, out of range or contradicts another.
    #[error("the field `{field}` of the message is out of bounds")]
    OutOfBounds {
        /// The message and the field, e.g. `batch.series`.
        field: &'static str,
    },
    /// Too long for a frame.
    #[error("a payload of {bytes} bytes does not fit a frame of at most {most}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
}
