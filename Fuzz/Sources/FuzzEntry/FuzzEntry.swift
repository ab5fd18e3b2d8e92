/// What every fuzz target does with the bytes that libFuzzer hands to it: runs a check, and ends the process when that
/// finds something, which is how libFuzzer learns of it.
///
/// - Returns: 0, as libFuzzer asks for.
package func runFuzzInput(_ start: UnsafePointer<UInt8>?, _ count: Int, check: ([UInt8]) -> String?) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    if let broken = check(input) { preconditionFailure(broken) }
    return 0
}
