//! Floor 2: listeners, TLS and limits of the face.
