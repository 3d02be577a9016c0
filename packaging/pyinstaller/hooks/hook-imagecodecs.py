"""imagecodecs with the codecs that volumes in TIFF and PNG come with; it imports them by name."""

hiddenimports = [
    f"imagecodecs._{name}"
    for name in (
        *("shared", "shared_cython", "imcd", "zlib", "deflate", "lzma", "zstd", "lz4", "png"),
        *("jpeg8", "jpegsof3", "ljpeg", "jpeg2k", "jpegls", "jpegxl", "jpegxr", "webp"),
        *("lerc", "ccitt", "pixarlog", "quantize"),
    )
]
