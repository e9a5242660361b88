//! Bytes that are named instead of sent, on connections whose ends share memory.
//!
//! Such a frame has the kind of the message that it carries, with [`DESCRIBED`] added, and its body ends with a descriptor
//! in place of the payload. On any other connection it is of an unknown kind, and refused.

/// Added to the kind of a frame whose payload is described.
pub const DESCRIBED: u16 = 0x8000;
/// How long a descriptor is.
pub const DESCRIPTOR_BYTES: usize = 28;

/// Where bytes lie in memory that two processes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// In which segment. No two have the same number.
    pub segment: u64,
    /// Where they begin in it.
    pub begin: u64,
    /// How many they are.
    pub bytes: u64,
    /// In which slab: what the one who is granted it lets go of.
    pub slot: u32,
}

impl Descriptor {
    /// As it is sent.
    #[must_use]
    pub fn to_bytes(self) -> [u8; DESCRIPTOR_BYTES] {
        let Self { segment, begin, bytes, slot } = self;
        let mut out = [0; DESCRIPTOR_BYTES];
        let fields = [segment, begin, bytes].into_iter().flat_map(u64::to_le_bytes).chain(slot.to_le_bytes());
        out.iter_mut().zip(fields).for_each(|(out, byte)| *out = byte);
        out
    }

    /// As it was sent.
    #[must_use]
    pub fn from_bytes(sent: [u8; DESCRIPTOR_BYTES]) -> Self {
        let field = |from: usize| {
            let bytes = sent.iter().skip(from).take(8).rev();
            bytes.fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let slot = u32::try_from(field(24)).unwrap_or_default(); // Four bytes are left.
        Self { segment: field(0), begin: field(8), bytes: field(16), slot }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_lies_as_the_format_says() {
        let descriptor = Descriptor {
            segment: 0x0102_0304_0506_0708,
            begin: 0x1112_1314_1516_1718,
            bytes: 0x2122_2324_2526_2728,
            slot: 0x3132_3334,
        };
        let sent = descriptor.to_bytes();
        assert_eq!(
            sent,
            [
                8, 7, 6, 5, 4, 3, 2, 1, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26,
                0x25, 0x24, 0x23, 0x22, 0x21, 0x34, 0x33, 0x32, 0x31
            ]
        );
        assert_eq!(Descriptor::from_bytes(sent), descriptor);
    }
}
