//! The random numbers of CPython's `random.Random`, so that instances are those of the published figures.

/// MT19937 as CPython seeds and reads it.
pub(crate) struct Twister {
    state: [u32; 624],
    at: usize,
}

impl Twister {
    pub(crate) fn new(seed: u32) -> Self {
        let mut this = Self {
            state: [0; 624],
            at: 624,
        };
        this.start(19_650_218);
        let mut i = 1;
        for _ in 0..624 {
            let last = this.state[i - 1];
            this.state[i] =
                (this.state[i] ^ (last ^ (last >> 30)).wrapping_mul(1_664_525)).wrapping_add(seed);
            i += 1;
            if i == 624 {
                this.state[0] = this.state[623];
                i = 1;
            }
        }
        for _ in 0..623 {
            let last = this.state[i - 1];
            this.state[i] = (this.state[i] ^ (last ^ (last >> 30)).wrapping_mul(1_566_083_941))
                .wrapping_sub(u32::try_from(i).unwrap_or(0));
            i += 1;
            if i == 624 {
                this.state[0] = this.state[623];
                i = 1;
            }
        }
        this.state[0] = 0x8000_0000;
        this
    }

    fn start(&mut self, seed: u32) {
        self.state[0] = seed;
        for i in 1..624 {
            let last = self.state[i - 1];
            self.state[i] = (last ^ (last >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(u32::try_from(i).unwrap_or(0));
        }
    }

    fn next(&mut self) -> u32 {
        if self.at == 624 {
            for i in 0..624 {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// From 0 to below 1.
    pub(crate) fn random(&mut self) -> f64 {
        let a = f64::from(self.next() >> 5);
        let b = f64::from(self.next() >> 6);
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    pub(crate) fn uniform(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.random()
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let r = (self.next() >> (32 - bits)) as usize;
            if r < n {
                return r;
            }
        }
    }

    /// The place of one of these, by weight.
    pub(crate) fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let at = self.random() * f64::from(total);
        let mut sum = 0;
        for (i, weight) in weights.iter().enumerate() {
            sum += weight;
            if at < f64::from(sum) {
                return i;
            }
        }
        weights.len() - 1
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let j = self.below(i + 1);
            list.swap(i, j);
        }
    }
}
