"""PyTorch's side of `make bench-train`: the same model, sizes and steps. Prints `what threads windows/s` lines."""

import time

import torch

METRICS, HIDDEN, WINDOW, STEPS, BATCH, BATCHES, ROUNDS = 4, 64, 80, 64, 256, 8, 3


class Forecaster(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(METRICS, HIDDEN, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, METRICS)

    def forward(self, x, steps):
        return self.head(self.lstm(x)[0][:, -steps:])


def fastest(run, windows):
    run()  # warm
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return windows / min(times)


def model_and_data(batch, device):
    torch.manual_seed(1)
    x = torch.randn(BATCHES, batch, WINDOW, METRICS, device=device)
    y = torch.randn(BATCHES, batch, STEPS, METRICS, device=device)
    return Forecaster().to(device), x, y


def training(batch, device):
    """Windows a second of whole training steps, the data there already."""
    model, x, y = model_and_data(batch, device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = torch.nn.HuberLoss()

    def train():
        for k in range(BATCHES):
            optimiser.zero_grad()
            value = loss(model(x[k], STEPS), y[k])
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            value.item()  # as osd does, which tells the loss

    return fastest(train, BATCHES * batch)


def scoring(batch, device):
    model, x, _ = model_and_data(batch, device)

    def score():
        with torch.no_grad():
            for k in range(BATCHES):
                model(x[k], 1)

    return fastest(score, BATCHES * batch)


def main():
    print(f"PyTorch {torch.__version__}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        print("training", threads, training(BATCH, "cpu"))
        print("scoring", threads, scoring(BATCH, "cpu"))
    if torch.cuda.is_available():
        # Products in PyTorch's default precision: TF32 in cuDNN's LSTM.
        print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
        for batch in (64, 256, 1024, 4096, 16384):
            print("gpu", batch, training(batch, "cuda"))


if __name__ == "__main__":
    main()
