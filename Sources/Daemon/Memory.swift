import CMemory

/// How the C library's allocator treats the buffers of the data plane.
enum Memory {
    /// Buffers of 64 KiB come and go all the time. By default the top of the heap goes back to the kernel as soon as it is free and
    /// larger blocks are mapped anew for each use; both fault every page again.
    static func tune() {
        mallopt(M_TRIM_THRESHOLD, 64 << 20)
        mallopt(M_MMAP_THRESHOLD, 4 << 20)
    }
}
