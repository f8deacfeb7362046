// An accelerator in software, for tests: memory of its own, one stream a device that works behind the host's back, events
// that carry times, pinned host memory. Operators run on the processor through torch's fallback, so answers are right and
// rates mean nothing. What it is for: code that reads before the device has written, or forgets to wait, fails here.
// And it can break as GPUs do: behind the host's back, found out at the next call, for as long as the process lives.
//
// It registers torch's spare device type, PrivateUse1; tests/accelerator/virtual_accelerator.py gives it a name.

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_copy_from_and_resize_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/view_native.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace {

using c10::Device;
using c10::DeviceIndex;
using c10::DeviceType;
using c10::Stream;
using Clock = std::chrono::steady_clock;

constexpr DeviceType kType = DeviceType::PrivateUse1;
constexpr DeviceIndex kDevices = 2;
constexpr size_t kMemoryBytes = size_t{1} << 30;  // of each device
constexpr size_t kAlignment = 64;
// A copy takes at least this long, on the stream: whoever doesn't wait for it reads what was there before.
constexpr auto kLatency = std::chrono::milliseconds(1);

// --- streams: a thread a device takes work in order -----------------------------------------------------------------

class Worker {
 public:
  Worker() : thread_([this] { run(); }) { thread_.detach(); }

  void enqueue(std::function<void()> work) {
    {
      std::lock_guard<std::mutex> hold(mutex_);
      queue_.push_back(std::move(work));
    }
    changed_.notify_all();
  }

  // What a driver says after an illegal access: nothing of this process reaches the device any more.
  void check() const { TORCH_CHECK(!broken_, "virtual accelerator: an illegal access was encountered"); }

  void break_down() {
    enqueue([this] {
      std::this_thread::sleep_for(kLatency);
      broken_ = true;
    });
  }

  void wait_and_check() {
    wait();
    check();
  }

  bool idle() {
    std::lock_guard<std::mutex> hold(mutex_);
    return queue_.empty() && !busy_;
  }

  void wait() {
    std::unique_lock<std::mutex> hold(mutex_);
    changed_.wait(hold, [this] { return queue_.empty() && !busy_; });
  }

 private:
  void run() {
    while (true) {
      std::function<void()> work;
      {
        std::unique_lock<std::mutex> hold(mutex_);
        changed_.wait(hold, [this] { return !queue_.empty(); });
        work = std::move(queue_.front());
        queue_.pop_front();
        busy_ = true;
      }
      work();
      {
        std::lock_guard<std::mutex> hold(mutex_);
        busy_ = false;
      }
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool busy_ = false;
  std::atomic<bool> broken_ = false;
  std::thread thread_;
};

// Never destroyed: their threads outlive main.
Worker& worker(DeviceIndex index) {
  static auto* workers = new std::array<Worker, kDevices>();
  return (*workers)[index];
}

thread_local DeviceIndex current = 0;

// --- memory ---------------------------------------------------------------------------------------------------------

std::mutex memory_mutex;
std::map<const void*, size_t> pinned;                         // start → bytes
std::map<const void*, std::pair<size_t, DeviceIndex>> owned;  // start → bytes, device
size_t used[kDevices] = {};

void* aligned(size_t count) {
  void* found = nullptr;
  TORCH_CHECK(posix_memalign(&found, kAlignment, std::max(count, kAlignment)) == 0, "no memory");
  return found;
}

void free_device(void* pointer) {
  if (pointer == nullptr) return;
  DeviceIndex index = 0;
  {
    std::lock_guard<std::mutex> hold(memory_mutex);
    index = owned.at(pointer).second;
  }
  worker(index).wait();  // what is queued may still use it
  std::lock_guard<std::mutex> hold(memory_mutex);
  used[index] -= owned.at(pointer).first;
  owned.erase(pointer);
  std::free(pointer);
}

void free_pinned(void* pointer) {
  for (DeviceIndex index = 0; index < kDevices; ++index) worker(index).wait();
  std::lock_guard<std::mutex> hold(memory_mutex);
  pinned.erase(pointer);
  std::free(pointer);
}

struct DeviceAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t count) override {
    const Device device(kType, current);
    if (count == 0) return {nullptr, nullptr, &free_device, device};
    std::lock_guard<std::mutex> hold(memory_mutex);
    TORCH_CHECK_WITH(
        OutOfMemoryError, count <= kMemoryBytes - used[current],
        "virtual accelerator out of memory: ", count, " bytes asked for, ", kMemoryBytes - used[current], " free");
    void* found = aligned(count);
    owned[found] = {count, current};
    used[current] += count;
    return {found, found, &free_device, device};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_device; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }
};

struct PinnedAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t count) override {
    void* found = aligned(count);
    std::lock_guard<std::mutex> hold(memory_mutex);
    pinned[found] = count;
    return {found, found, &free_pinned, Device(DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }
};

DeviceAllocator device_allocator;
PinnedAllocator pinned_allocator;
REGISTER_ALLOCATOR(kType, &device_allocator);

bool is_pinned(const void* pointer) {
  std::lock_guard<std::mutex> hold(memory_mutex);
  auto after = pinned.upper_bound(pointer);
  if (after == pinned.begin()) return false;
  const auto& [start, count] = *std::prev(after);
  return static_cast<const char*>(pointer) < static_cast<const char*>(start) + count;
}

// --- what torch asks of a device ------------------------------------------------------------------------------------

struct Event {
  std::mutex mutex;
  std::condition_variable changed;
  bool reached = true;  // one that was never recorded holds nobody up
  Clock::time_point at;
};

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return kType; }
  Device exchangeDevice(Device device) const override {
    const Device before = getDevice();
    setDevice(device);
    return before;
  }
  Device getDevice() const override { return {kType, current}; }
  void setDevice(Device device) const override {
    TORCH_CHECK(device.index() < kDevices, "there is no device ", device);
    if (device.index() >= 0) current = device.index();
  }
  void uncheckedSetDevice(Device device) const noexcept override {
    if (device.index() >= 0) current = device.index();
  }
  Stream getStream(Device device) const override { return Stream(Stream::DEFAULT, with_index(device)); }
  Stream getDefaultStream(Device device) const override { return getStream(device); }
  Stream exchangeStream(Stream stream) const override { return getStream(stream.device()); }
  DeviceIndex deviceCount() const noexcept override { return kDevices; }

  bool queryStream(const Stream& stream) const override { return worker(stream.device_index()).idle(); }
  void synchronizeStream(const Stream& stream) const override { worker(stream.device_index()).wait_and_check(); }
  void synchronizeDevice(DeviceIndex index) const override { worker(index < 0 ? current : index).wait_and_check(); }

  void record(void** event, const Stream& stream, DeviceIndex, c10::EventFlag) const override {
    worker(stream.device_index()).check();
    if (*event == nullptr) *event = new Event();
    auto* one = static_cast<Event*>(*event);
    {
      std::lock_guard<std::mutex> hold(one->mutex);
      one->reached = false;
    }
    worker(stream.device_index()).enqueue([one] {
      std::lock_guard<std::mutex> hold(one->mutex);
      one->at = Clock::now();
      one->reached = true;
      one->changed.notify_all();
    });
  }
  bool queryEvent(void* event) const override {
    auto* one = static_cast<Event*>(event);
    if (one == nullptr) return true;
    std::lock_guard<std::mutex> hold(one->mutex);
    return one->reached;
  }
  void synchronizeEvent(void* event) const override {
    auto* one = static_cast<Event*>(event);
    if (one == nullptr) return;
    std::unique_lock<std::mutex> hold(one->mutex);
    one->changed.wait(hold, [one] { return one->reached; });
  }
  void block(void* event, const Stream&) const override { synchronizeEvent(event); }
  void destroyEvent(void* event, DeviceIndex) const noexcept override {
    synchronizeEvent(event);
    delete static_cast<Event*>(event);
  }
  double elapsedTime(void* first, void* second, DeviceIndex) const override {
    TORCH_CHECK(queryEvent(first) && queryEvent(second), "elapsed time of events that were not reached yet");
    const auto passed = static_cast<Event*>(second)->at - static_cast<Event*>(first)->at;
    return std::chrono::duration<double, std::milli>(passed).count();
  }

 private:
  static Device with_index(Device device) { return {kType, device.index() < 0 ? current : device.index()}; }
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return kDevices; }
  void setCurrentDevice(DeviceIndex index) const override { current = index; }
  DeviceIndex getCurrentDevice() const override { return current; }
  DeviceIndex exchangeDevice(DeviceIndex index) const override { return std::exchange(current, index); }
  DeviceIndex maybeExchangeDevice(DeviceIndex index) const override { return exchangeDevice(index); }
  bool isPinnedPtr(const void* pointer) const override { return is_pinned(pointer); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return &pinned_allocator; }
};

// --- operators ------------------------------------------------------------------------------------------------------

at::Tensor empty(
    c10::SymIntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
    std::optional<Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const c10::DeviceGuard guard(device.value_or(Device(kType, current)));
  return at::detail::empty_generic(
      C10_AS_INTARRAYREF_SLOW(size), &device_allocator, c10::DispatchKeySet(c10::DispatchKey::PrivateUse1),
      c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(
    c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> dtype,
    std::optional<at::Layout>, std::optional<Device> device, std::optional<bool>) {
  const c10::DeviceGuard guard(device.value_or(Device(kType, current)));
  return at::detail::empty_strided_generic(
      C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), &device_allocator,
      c10::DispatchKeySet(c10::DispatchKey::PrivateUse1), c10::dtype_or_default(dtype));
}

// The same memory as the processor sees it.
at::Tensor on_cpu(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) return tensor;
  return at::for_blob(tensor.data_ptr(), tensor.sizes())
      .strides(tensor.strides())
      .options(tensor.options().device(at::kCPU))
      .make_tensor();
}

at::Tensor copy_from(const at::Tensor& self, const at::Tensor& to, bool non_blocking) {
  const at::Tensor& there = to.device().is_cpu() ? self : to;
  const at::Tensor& other = to.device().is_cpu() ? to : self;
  Worker& stream = worker(there.device().index());
  stream.check();
  const bool alike = self.scalar_type() == to.scalar_type() && self.sizes() == to.sizes() &&
      self.is_contiguous() && to.is_contiguous();
  if (!alike) {
    stream.wait();
    on_cpu(to).copy_(on_cpu(self));
    return to;
  }
  void* into = to.data_ptr();
  const void* from = self.data_ptr();
  const size_t count = self.nbytes();
  stream.enqueue([into, from, count] {
    std::this_thread::sleep_for(kLatency);
    std::memcpy(into, from, count);
  });
  // As drivers do it: pageable memory is not left to the device, and a copy on one device is never waited for.
  const bool host = other.device().is_cpu();
  if (host && !(non_blocking && is_pinned(other.data_ptr()))) stream.wait_and_check();
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& to) {
  if (to.sizes() != self.sizes()) const_cast<at::Tensor&>(to).resize_(self.sizes());
  return copy_from(self, to, false);
}

const at::Tensor& resize(const at::Tensor& self, c10::SymIntArrayRef size, std::optional<at::MemoryFormat>) {
  const auto sizes = C10_AS_INTARRAYREF_SLOW(size);
  const size_t needed = c10::multiply_integers(sizes) * self.element_size();
  auto* storage = self.storage().unsafeGetStorageImpl();
  if (needed > storage->nbytes()) {
    storage->set_data_ptr_noswap(device_allocator.allocate(needed));
    storage->set_nbytes(needed);
  }
  self.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return self;
}

at::Scalar local_scalar(const at::Tensor& self) {
  worker(self.device().index()).wait_and_check();
  return on_cpu(self).item();
}

at::Tensor view(const at::Tensor& self, c10::SymIntArrayRef size) {
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

at::Tensor as_strided(
    const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<c10::SymInt> offset) {
  const auto at_ = offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt;
  return at::native::as_strided_tensorimpl(
      self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride), at_);
}

at::Tensor reshape_alias(const at::Tensor& self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride) {
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

at::Tensor convolution(
    const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias, c10::SymIntArrayRef stride,
    c10::SymIntArrayRef padding, c10::SymIntArrayRef dilation, bool transposed, c10::SymIntArrayRef output_padding,
    c10::SymInt groups) {
  worker(input.device().index()).wait();
  const auto bias_there = bias && bias->defined() ? std::optional<at::Tensor>(on_cpu(*bias)) : std::nullopt;
  return at::convolution_symint(
             on_cpu(input), on_cpu(weight), bias_there, stride, padding, dilation, transposed, output_padding, groups)
      .to(input.device());
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) { at::native::cpu_fallback(op, stack); }

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("resize_", resize);
  m.impl("view", view);
  m.impl("as_strided", as_strided);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("convolution_overrideable", convolution);
}

const bool registered = [] {
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  return true;
}();

}  // namespace

// --- what the Python module asks ------------------------------------------------------------------------------------

extern "C" int64_t virtual_free_bytes(int64_t index) {
  std::lock_guard<std::mutex> hold(memory_mutex);
  return static_cast<int64_t>(kMemoryBytes - used[index]);
}
extern "C" int64_t virtual_total_bytes() { return static_cast<int64_t>(kMemoryBytes); }
extern "C" int64_t virtual_device_count() { return kDevices; }
extern "C" int64_t virtual_current() { return current; }
extern "C" void virtual_set_current(int64_t index) { current = static_cast<DeviceIndex>(index); }
extern "C" void virtual_break(int64_t index) { worker(static_cast<DeviceIndex>(index)).break_down(); }
