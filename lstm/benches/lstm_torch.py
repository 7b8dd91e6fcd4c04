# PyTorch on what lstm.rs measures: `python lstm_torch.py THREADS` prints windows a second.
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
lstm, head = torch.nn.LSTM(4, 64, 2, batch_first=True), torch.nn.Linear(64, 4)
x = torch.sin(torch.arange(256 * 80 * 4) * 0.37).reshape(256, 80, 4)
with torch.no_grad():
    for _ in range(5):
        head(lstm(x)[0][:, -1])
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.5:
        head(lstm(x)[0][:, -1])
        n += 256
print(n / (time.perf_counter() - start))
