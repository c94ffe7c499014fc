//! Floor 2: collector threads and the frame writer.
