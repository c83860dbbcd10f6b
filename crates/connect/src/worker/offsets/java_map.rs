//! Reads the offsets file of a standalone worker of the original: a serialized `HashMap<byte[], byte[]>`.
//!
//! Only what such a file can hold is understood (Java Object Serialization Stream Protocol, sections 6.4.2 and following).

/// How a serialization stream begins: magic and version.
pub(super) const STREAM_MAGIC: [u8; 4] = [0xAC, 0xED, 0x00, 0x05];

const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_STRING: u8 = 0x74;
const TC_ARRAY: u8 = 0x75;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
const BASE_HANDLE: u32 = 0x7E_0000;

/// An entry: key and value, which may be null.
pub(super) type Entry = (Vec<u8>, Option<Vec<u8>>);

/// The entries of the map in `bytes`; `None` when it is no such map.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = Reader { bytes: bytes.strip_prefix(&STREAM_MAGIC)?, handles: Vec::new() };
    reader.map()
}

/// What a handle of the stream stands for.
#[derive(Clone)]
enum Handle {
    Class { name: String, fields_size: Option<usize> },
    Bytes(Vec<u8>),
    Other,
}

struct Reader<'a> {
    bytes: &'a [u8],
    handles: Vec<Handle>,
}

impl Reader<'_> {
    fn map(&mut self) -> Option<Vec<Entry>> {
        if self.byte()? != TC_OBJECT {
            return None;
        }
        let (class, fields_size) = self.class()?;
        if class != "java.util.HashMap" {
            return None;
        }
        self.handles.push(Handle::Other);
        // loadFactor and threshold.
        self.take(fields_size?)?;
        if self.byte()? != TC_BLOCKDATA || self.byte()? != 8 {
            return None;
        }
        let _capacity = self.u32()?;
        let size = self.u32()?;
        let mut entries = Vec::new();
        for _ in 0..size {
            let key = self.array()??;
            entries.push((key, self.array()?));
        }
        (self.byte()? == TC_ENDBLOCKDATA).then_some(entries)
    }

    /// An array of bytes, or null.
    fn array(&mut self) -> Option<Option<Vec<u8>>> {
        match self.byte()? {
            TC_NULL => Some(None),
            TC_REFERENCE => match self.handle()? {
                Handle::Bytes(bytes) => Some(Some(bytes)),
                Handle::Class { .. } | Handle::Other => None,
            },
            TC_ARRAY => {
                let (class, _) = self.class()?;
                if class != "[B" {
                    return None;
                }
                let length = usize::try_from(self.u32()?).ok()?;
                let at = self.handles.len();
                self.handles.push(Handle::Other);
                let bytes = self.take(length)?.to_vec();
                self.handles[at] = Handle::Bytes(bytes.clone());
                Some(Some(bytes))
            }
            _ => None,
        }
    }

    /// Name of a class and the bytes that its primitive fields take; `None` for that when it has others.
    fn class(&mut self) -> Option<(String, Option<usize>)> {
        match self.byte()? {
            TC_REFERENCE => match self.handle()? {
                Handle::Class { name, fields_size } => Some((name, fields_size)),
                Handle::Bytes(_) | Handle::Other => None,
            },
            TC_CLASSDESC => {
                let name = self.utf()?;
                let _serial_version = self.take(8)?;
                let at = self.handles.len();
                self.handles.push(Handle::Other);
                let _flags = self.byte()?;
                let fields_size = self.fields()?;
                // Annotations of the class, and its superclass: neither is there.
                if self.byte()? != TC_ENDBLOCKDATA || self.byte()? != TC_NULL {
                    return None;
                }
                self.handles[at] = Handle::Class { name: name.clone(), fields_size };
                Some((name, fields_size))
            }
            _ => None,
        }
    }

    fn fields(&mut self) -> Option<Option<usize>> {
        let count = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        let mut size = Some(0);
        for _ in 0..count {
            let kind = self.byte()?;
            let _name = self.utf()?;
            let width = match kind {
                b'B' | b'Z' => Some(1),
                b'C' | b'S' => Some(2),
                b'F' | b'I' => Some(4),
                b'D' | b'J' => Some(8),
                _ => {
                    // The type of an object, as a string or a reference to one.
                    match self.byte()? {
                        TC_STRING => {
                            self.utf()?;
                            self.handles.push(Handle::Other);
                        }
                        TC_REFERENCE => {
                            self.handle()?;
                        }
                        _ => return None,
                    }
                    None
                }
            };
            size = size.zip(width).map(|(size, width)| size + width);
        }
        Some(size)
    }

    fn handle(&mut self) -> Option<Handle> {
        let index = self.u32()?.checked_sub(BASE_HANDLE)?;
        self.handles.get(usize::try_from(index).ok()?).cloned()
    }

    fn utf(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ObjectOutputStream` writes for a map of two entries, the second with null as value.
    fn stream() -> Vec<u8> {
        let mut bytes = STREAM_MAGIC.to_vec();
        bytes.extend([TC_OBJECT, TC_CLASSDESC, 0, 17]);
        bytes.extend(b"java.util.HashMap");
        bytes.extend(0x0507_DAC1_C316_60D1_u64.to_be_bytes());
        bytes.extend([0x03, 0, 2, b'F', 0, 10]);
        bytes.extend(b"loadFactor");
        bytes.extend([b'I', 0, 9]);
        bytes.extend(b"threshold");
        bytes.extend([TC_ENDBLOCKDATA, TC_NULL]);
        bytes.extend(0.75_f32.to_be_bytes());
        bytes.extend(12_u32.to_be_bytes());
        bytes.extend([TC_BLOCKDATA, 8, 0, 0, 0, 16, 0, 0, 0, 2]);
        bytes.extend([TC_ARRAY, TC_CLASSDESC, 0, 2]);
        bytes.extend(b"[B");
        bytes.extend(0xACF3_17F8_0608_54E0_u64.to_be_bytes());
        bytes.extend([0x02, 0, 0, TC_ENDBLOCKDATA, TC_NULL, 0, 0, 0, 3]);
        bytes.extend(b"key");
        // The class of arrays is the third handle: map class, map, array class.
        bytes.extend([TC_ARRAY, TC_REFERENCE, 0, 0x7E, 0, 2, 0, 0, 0, 5]);
        bytes.extend(b"value");
        bytes.extend([TC_ARRAY, TC_REFERENCE, 0, 0x7E, 0, 2, 0, 0, 0, 1, b'k', TC_NULL, TC_ENDBLOCKDATA]);
        bytes
    }

    #[test]
    fn a_map_of_byte_arrays_is_read() {
        let entries = read(&stream()).unwrap();
        assert_eq!(entries, [(b"key".to_vec(), Some(b"value".to_vec())), (b"k".to_vec(), None)]);
    }

    #[test]
    fn a_file_that_was_cut_off_or_is_something_else_is_refused() {
        let whole = stream();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_none(), "{length}");
        }
        assert!(read(b"name=value").is_none());
    }
}
