/// A password for people to type once: 20 letters and digits without those that look alike, 115 random bits.
public enum GeneratedPassword {
  private static let alphabet = Array("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")

  public static func make() -> String {
    var random = SystemRandomNumberGenerator()
    return String((0..<20).map { _ in alphabet[Int.random(in: alphabet.indices, using: &random)] })
  }
}
