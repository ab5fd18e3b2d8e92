import Timing
import TunnelSession

/// How many links are missing, or too many.
extension LinkPlan {
    /// Opens, closes and hastens vacancies after the links may have changed.
    mutating func reviewLinks(now: Moment, using rng: inout some RandomNumberGenerator) {
        self.closeVacancies()
        let hot = self.hotLinks
        while self.vacancies.count < self.links - hot {
            self.vacancies.append(now + Self.replacementSpread * Double.random(in: 0...1, using: &rng))
        }
        if hot == 0 {
            self.vacancies = self.vacancies.map { vacancy in
                min(vacancy, now + Self.firstAttemptSpread * Double.random(in: 0...1, using: &rng))
            }
        }
        self.vacancies.sort()
        self.reviewSurplus(now: now)
    }

    /// Closes the vacancies that are filled, the latest first.
    mutating func closeVacancies() {
        let filled = self.vacancies.count - max(0, self.links - self.hotLinks)
        if filled > 0 { self.vacancies.removeLast(filled) }
    }

    mutating func reviewSurplus(now: Moment) {
        guard self.hotLinks > self.links else {
            self.surplusReview = nil
            return
        }
        if self.surplusReview == nil { self.surplusReview = now + Self.surplusPatience }
    }

    /// The link to give up: one without streams that new streams do not go to, the slowest or else the youngest.
    mutating func surplus(now: Moment) -> Endpoint? {
        self.reviewSurplus(now: now)
        guard let review = self.surplusReview, review <= now else { return nil }
        self.surplusReview = now + Self.surplusRecheck
        let idle = self.standing.filter { $0.value.isHot && $0.value.isIdle && !$0.value.isActive }
        return idle.max { one, other in
            let (slow, slower) = (one.value.roundTrip ?? .zero, other.value.roundTrip ?? .zero)
            return (slow, one.value.began, one.key.description) < (slower, other.value.began, other.key.description)
        }?.key
    }
}
